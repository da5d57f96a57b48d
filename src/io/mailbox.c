/*
 * See mailbox.h. Two lists: `posted` is everybody's, under the lock, and `todo` the owner's, who
 * takes the whole of the other at once. So the lock is held for a few instructions, a mail that
 * posts itself again waits for the next turn of the loop, and drains may nest. Only the first mail
 * of a turn wakes the owner.
 */
#include "io/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/err.h"

struct mail_list {
	struct mail *first, **end;
};

struct mailbox {
	pthread_mutex_t lock;
	struct mail_list posted; /* under the lock */
	struct mail_list todo;
	int fd;
	struct event *event;
};

static void list_init(struct mail_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void take_posted(struct mailbox *m)
{
	pthread_mutex_lock(&m->lock);
	if (m->posted.first) {
		*m->todo.end = m->posted.first;
		m->todo.end = m->posted.end;
		list_init(&m->posted);
	}
	pthread_mutex_unlock(&m->lock);
}

static struct mail *pop(struct mailbox *m)
{
	struct mail *mail = m->todo.first;

	if (!mail)
		return NULL;
	m->todo.first = mail->next;
	if (!m->todo.first)
		m->todo.end = &m->todo.first;
	return mail;
}

void mailbox_drain(struct mailbox *m)
{
	struct mail *mail;

	take_posted(m);
	while ((mail = pop(m)))
		mail->fn(mail, false);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return; /* somebody drained meanwhile: nothing is lost, the lists say what is there
			 */
	mailbox_drain(arg);
}

int mailbox_new(struct event_base *base, struct mailbox **out)
{
	struct mailbox *m = malloc(sizeof(*m));

	if (!m)
		return err_new(-ENOMEM);
	*m = (struct mailbox){ .lock = PTHREAD_MUTEX_INITIALIZER };
	list_init(&m->posted);
	list_init(&m->todo);
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0) {
		int r = err_new(-errno);

		free(m);
		return r;
	}
	m->event = event_new(base, m->fd, EV_READ | EV_PERSIST, on_wake, m);
	if (!m->event || event_add(m->event, NULL) < 0) {
		mailbox_free(m);
		return err_new(-ENOMEM);
	}
	*out = m;
	return 0;
}

void mailbox_free(struct mailbox *m)
{
	struct mail *mail;

	if (!m)
		return;
	if (m->event)
		event_free(m->event);
	take_posted(m);
	while ((mail = pop(m))) {
		mail->fn(mail, true);
		take_posted(m);
	}
	close(m->fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void mailbox_post(struct mailbox *m, struct mail *mail)
{
	const uint64_t one = 1;
	bool is_first;

	mail->next = NULL;
	pthread_mutex_lock(&m->lock);
	is_first = !m->posted.first;
	*m->posted.end = mail;
	m->posted.end = &mail->next;
	/* Under the lock: once the owner has seen the mail it may be over with the mailbox. */
	if (is_first && write(m->fd, &one, sizeof(one)) < 0)
		(void)0; /* the counter is full: it is awake */
	pthread_mutex_unlock(&m->lock);
}
