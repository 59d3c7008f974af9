/* known_numbers.h -- OpenSSL's random numbers, the same in every run, so that what a fuzzer has
 * found can be repeated. For the whole process, from the first call on; keys made with them protect
 * nothing. One thread. */
#ifndef OSR_TESTS_KNOWN_NUMBERS_H
#define OSR_TESTS_KNOWN_NUMBERS_H

/* Begins anew: what comes after is the same each time. */
void osr_known_numbers_restart(void);

#endif
