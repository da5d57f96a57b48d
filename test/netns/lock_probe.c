/*
 * LD_PRELOAD for test_workers.py: counts how often a program takes a lock of the threads library,
 * in a file that LOCK_PROBE names, eight bytes in the machine's order.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t nowhere, *count = &nowhere;

__attribute__((constructor)) static void open_file(void)
{
	const char *path = getenv("LOCK_PROBE");
	int fd = path ? open(path, O_RDWR | O_CREAT, 0666) : -1;
	void *p;

	if (fd < 0 || ftruncate(fd, sizeof(*count)) < 0)
		return;
	p = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		count = p;
	close(fd);
}

#define COUNTED(name, type)                                                                        \
	int name(type *lock)                                                                       \
	{                                                                                          \
		static int (*real)(type *);                                                        \
		if (!real)                                                                         \
			real = (int (*)(type *))dlsym(RTLD_NEXT, #name);                           \
		atomic_fetch_add(count, 1);                                                        \
		return real(lock);                                                                 \
	}

COUNTED(pthread_mutex_lock, pthread_mutex_t)
COUNTED(pthread_mutex_trylock, pthread_mutex_t)
COUNTED(pthread_rwlock_rdlock, pthread_rwlock_t)
COUNTED(pthread_rwlock_wrlock, pthread_rwlock_t)
COUNTED(pthread_spin_lock, pthread_spinlock_t)
