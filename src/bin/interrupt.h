/* interrupt.h -- Ctrl-C: the first one asks the command to come to an end in good order, the
 * second one ends the process at once, with the exit status of CANCELLED. */
#ifndef OSR_BIN_INTERRUPT_H
#define OSR_BIN_INTERRUPT_H

#include <osiris/osiris.h>
#include <stdbool.h>

/* From now on SIGINT interrupts this client; NULL: it ends the process. The client must stay until
 * the next call. */
void osr_interrupt_attach(struct osiris_client *client);
/* True once a SIGINT came while a client was attached. */
bool osr_interrupt_is_pending(void);

#endif
