#include "bin/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/error.h"

static _Atomic(struct osiris_client *) attached;
static volatile sig_atomic_t pending;

static void on_signal(int signal_number)
{
    (void)signal_number;
    struct osiris_client *client = attached;
    if (client == NULL || pending != 0) {
        _exit(osr_code_info(OSR_CANCELLED)->exit_status);
    }
    pending = 1;
    osiris_interrupt(client);
}

void osr_interrupt_attach(struct osiris_client *client)
{
    attached = client;
    /* Without SA_RESTART: a blocked write of output is interrupted as well. */
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool osr_interrupt_is_pending(void)
{
    return pending != 0;
}
