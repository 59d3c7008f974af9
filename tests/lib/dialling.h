/* dialling.h -- a dial (adapter/dial.h), waited for. */
#ifndef OSR_TESTS_DIALLING_H
#define OSR_TESTS_DIALLING_H

#include "adapter/dial.h"

/* *ret_fd is untouched on failure. */
int dial_and_wait(const struct osr_url *url, uint32_t timeout_ms, int *ret_fd, struct osr_err *err);

#endif
