/* Scope frees what a function has not handed over: see STYLE.md rule 6. */
#ifndef ENG_BASE_CLEANUP_H
#define ENG_BASE_CLEANUP_H

#define CLEANUP(f) __attribute__((cleanup(f)))

/* Hands over a pointer to its new owner: the value is returned, the variable becomes NULL. */
#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) take_ = (p);                                                         \
		(p) = NULL;                                                                        \
		take_;                                                                             \
	})

/* Hands over a file descriptor: the value is returned, the variable becomes -1. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int take_ = (fd);                                                                  \
		(fd) = -1;                                                                         \
		take_;                                                                             \
	})

/*
 * Makes x_freep(T **) out of x_free(T *), for CLEANUP().
 * NOLINTBEGIN(bugprone-macro-parentheses): a type takes no parentheses
 */
#define DEFINE_FREEP(type, free_fn)                                                                \
	static inline void free_fn##p(type *p)                                                     \
	{                                                                                          \
		if (*p)                                                                            \
			free_fn(*p);                                                               \
	}

/* NOLINTEND(bugprone-macro-parentheses) */

void fd_closep(int *fd); /* closes *fd unless it is < 0; errno survives */

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
