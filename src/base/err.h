/*
 * The return convention (STYLE.md rule 4): 0 is success; below 0 is -errno, fatal to the
 * operation and passed up unchanged; above 0 is a condition that the function documents.
 *
 * err_new() marks the place where an error is born, and at log level debug says where that was;
 * err_pass() marks a place that only hands it on. Neither changes the value.
 */
#ifndef ENG_BASE_ERR_H
#define ENG_BASE_ERR_H

int err_new_at(int neg_errno, const char *file, int line);

#define err_new(neg_errno) err_new_at((neg_errno), __FILE__, __LINE__)
#define err_pass(r) (r)

/* "No such file or directory" for -ENOENT; valid until the next call in this thread. */
const char *err_text(int neg_errno);

#endif
