/* loop.h -- waiting on a loop, for tests. */
#ifndef OSR_TESTS_LOOP_H
#define OSR_TESTS_LOOP_H

#include <uv.h>

/* A while passes, in which the test says that nothing happens. */
void loop_idle(uv_loop_t *loop, int ms);

#endif
