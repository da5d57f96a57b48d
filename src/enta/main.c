/*
 * enta: the agent program. Order matters here, so that nothing that is to be captured leaves in the
 * clear: the guard comes first and goes last, and every failure after it leaves it standing.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "base/standard.h"
#include "enta/lock.h"
#include "enta/options.h"
#include "io/sandbox.h"
#include "io/tun.h"

DEFINE_FREEP(struct capture *, capture_free)
DEFINE_FREEP(struct event_base *, event_base_free)
DEFINE_FREEP(struct security *, security_free)

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	log_info("stopping", "signal=%d", (int)sig);
	agent_stop(arg);
}

static void on_print(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	agent_print(arg);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	agent_reload(arg);
}

static void print_rules(const struct enta_options *o, const struct capture *c)
{
	char line[CAPTURE_LINE_MAX];

	for (size_t i = 0; i < o->capture.n_rules; i++)
		log_info("capture", "rule=%zu \"%s\"", i + 1,
			 capture_describe_rule(&o->capture, i, line));
	for (size_t i = 0; i < o->capture.n_replays; i++)
		log_info("replay", "rule=%zu \"%s\"", i + 1,
			 capture_describe_replay(&o->capture, i, line));
	if (capture_warning(c)[0])
		log_warn("capture", "\"%s\"", capture_warning(c));
}

/* Until a signal or the loss of the TUN device ends it. */
static int run_agent(const struct enta_options *o, struct event_base *base, struct tun *tun,
		     struct security *security)
{
	struct event *signals[4] = { NULL };
	struct agent *a = NULL;
	int r;

	r = agent_new(base, &o->agent, tun, security, &a);
	if (r < 0)
		return err_pass(r);
	signals[0] = evsignal_new(base, SIGTERM, on_stop, a);
	signals[1] = evsignal_new(base, SIGINT, on_stop, a);
	signals[2] = evsignal_new(base, SIGUSR1, on_print, a);
	signals[3] = evsignal_new(base, SIGHUP, on_reload, a);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (!signals[i] || event_add(signals[i], NULL) < 0)
			r = err_new(-ENOMEM);
	if (r == 0) {
		log_info("ready", "name=%s instance=%s tun=%s workers=%u pid=%d", o->agent.name,
			 o->instance, tun_name(tun), o->agent.n_workers, (int)getpid());
		r = agent_run(a, o->poll_us);
	}
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (signals[i])
			event_free(signals[i]);
	agent_free(a);
	return r;
}

static int say_failed(const char *what, int r, const char *message)
{
	log_error("failed", "what=\"%s\" reason=\"%s\"%s%s%s", what, err_text(r),
		  message[0] ? " detail=\"" : "", message, message[0] ? "\"" : "");
	return EXIT_FAILURE;
}

static int stop_capture(struct capture *c, bool keep_guard)
{
	int r = capture_stop(c, keep_guard);

	if (r < 0)
		return say_failed("remove the capture; what was captured stays refused", r,
				  capture_message(c));
	if (capture_warning(c)[0])
		log_warn("capture", "\"%s\"", capture_warning(c));
	if (keep_guard)
		log_info("guarded",
			 "captured_traffic=refused until=\"an agent starts, or enta cleanup\"");
	else
		log_warn("capture-removed",
			 "captured_traffic=\"leaves this host unprotected from now on\"");
	return EXIT_SUCCESS;
}

/* What proves and judges, before the rights are given up. Captured traffic is refused meanwhile. */
static int secure(const struct enta_options *o, struct event_base *base, struct security **out)
{
	char message[SECURITY_MESSAGE_MAX];
	int r;

	if (!o->agent.security.with_gateways)
		return 0;
	r = security_new(base, &o->agent.security, out, message);
	return r < 0 ? say_failed("set up attestation", r, message) : 0;
}

/* 0, EXIT_FAILURE (told), or -errno. */
static int run_secured(const struct enta_options *o, struct tun *tun)
{
	CLEANUP(event_base_freep) struct event_base *base = event_base_new();
	CLEANUP(security_freep) struct security *security = NULL;
	int r;

	if (!base)
		return err_new(-ENOMEM);
	r = secure(o, base, &security);
	if (r == 0)
		r = sandbox_enter(SANDBOX_KEEP_NET_ADMIN);
	return r == 0 ? run_agent(o, base, tun, security) : r;
}

static int run(const struct enta_options *o, struct capture *c)
{
	bool keep_guard = false;
	struct tun *tun = NULL;
	int r, status;

	r = capture_guard_present(c, &keep_guard);
	if (r < 0)
		return say_failed("look for a guard", r, capture_message(c));
	keep_guard = keep_guard || o->keep_guard;
	r = tun_new(o->tun_name, TUN_OFFLOAD_CSUM | TUN_OFFLOAD_TSO | TUN_OFFLOAD_USO,
		    o->agent.n_workers, &tun);
	if (r > 0)
		return say_failed("tell the kernel which queue is for whom, which takes CAP_BPF or "
				  "CAP_SYS_ADMIN; or use one worker",
				  -EPERM, o->tun_name);
	if (r < 0)
		return say_failed("make the TUN device", r, o->tun_name);
	r = capture_start(c, tun);
	if (r < 0) {
		say_failed("start the capture", r, capture_message(c));
		tun_free(tun);
		stop_capture(c, keep_guard);
		return EXIT_FAILURE;
	}
	print_rules(o, c);
	r = run_secured(o, tun);
	tun_free(tun);
	if (r > 0)
		return r; /* told; the guard stays */
	if (r < 0)	  /* not a stop that anybody asked for: the guard stays */
		return say_failed(
			"run; captured traffic stays refused until the next start or enta "
			"cleanup",
			r, "");
	status = stop_capture(c, keep_guard);
	log_info("stopped", "instance=%s", o->instance);
	return status;
}

static int guard(const struct enta_options *o, struct capture *c)
{
	int r = capture_guard(c);

	if (r < 0)
		return say_failed("set up the guard", r, capture_message(c));
	print_rules(o, c);
	log_info("guarded", "captured_traffic=refused until=\"an agent starts, or enta cleanup\"");
	return EXIT_SUCCESS;
}

static int cleanup(const struct enta_options *o)
{
	char message[CAPTURE_MESSAGE_MAX] = "";
	int r = capture_cleanup(o->instance, message);

	if (r < 0)
		return say_failed("clean up", r, message);
	log_info("cleaned", "instance=%s", o->instance);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	CLEANUP(capture_freep) struct capture *c = NULL;
	static char message[CAPTURE_MESSAGE_MAX];
	CLEANUP(fd_closep) int lock = -1;
	static struct enta_options o;
	int r;

	if (standard_open() < 0)
		return EXIT_FAILURE; /* and nowhere to say why */
	r = enta_options_parse(argc, argv, &o);
	if (r != 0)
		return r == OPTION_E_DONE ? EXIT_SUCCESS : EXIT_USAGE;
	r = lock_instance(o.instance, &lock);
	if (r == -EADDRINUSE)
		return say_failed("take the instance; it runs already, another one needs its own "
				  "--instance",
				  r, o.instance);
	if (r < 0)
		return say_failed("take the instance", r, o.instance);
	if (o.command == ENTA_CLEANUP)
		return cleanup(&o);
	r = capture_new(&o.capture, &c, message);
	if (r < 0) {
		say_failed("prepare the capture", r, message);
		return r == -EINVAL ? EXIT_USAGE
				    : EXIT_FAILURE; /* what was asked, or what there is */
	}
	signal(SIGPIPE, SIG_IGN); /* whoever reads our log may leave before we do, or not read */
	log_never_wait();
	sandbox_raise_file_limit();
	return o.command == ENTA_GUARD ? guard(&o, c) : run(&o, c);
}
