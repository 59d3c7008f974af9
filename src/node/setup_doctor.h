/* setup_doctor.h -- looks at all of an instance that can be seen from its folder: identity,
 * certificates, permissions, listeners, clock, disk. What is wrong comes with what mends it.
 *
 * Changes nothing but a small file that it writes and removes, so it may look beside a running
 * instance. Blocking, for some tenths of a second. */
#ifndef OSR_NODE_SETUP_DOCTOR_H
#define OSR_NODE_SETUP_DOCTOR_H

#include "node/config.h"

/* Appends findings (setup_finding.h). */
void osr_setup_doctor(const struct osr_config *config, uint64_t now_s, struct osr_buffer *lines);

#endif
