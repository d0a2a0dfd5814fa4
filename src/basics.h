/* SPDX-License-Identifier: MIT */
/*
 * basics - macros that every room needs: the size of an array, a number as a string, units of time
 *
 * All times and durations are microseconds in an int64_t; times are those of the monotonic clock.
 */
#ifndef BASICS_H
#define BASICS_H

#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define STRING_OF(number) #number
#define STRING(number) STRING_OF(number)

#define SECOND INT64_C(1000000)
#define NEVER INT64_MAX

#endif
