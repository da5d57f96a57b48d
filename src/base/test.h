/* cmocka with the includes it wants in front of it; for x_test.c files only. */
#ifndef ENG_BASE_TEST_H
#define ENG_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
