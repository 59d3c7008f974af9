#include "lib/loop.h"

#include <unistd.h>

void loop_idle(uv_loop_t *loop, int ms)
{
    for (int i = 0; i < ms; i++) {
        usleep(1000);
        uv_run(loop, UV_RUN_NOWAIT);
    }
}
