/*
 * basics - what every room needs: counts of arrays, numbers as strings, and the unit of time
 *
 * Times and durations are microseconds in an int64_t, as in struct timeval.
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
