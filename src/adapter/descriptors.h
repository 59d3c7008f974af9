/* descriptors.h -- how many files and connections the process may have open. */
#ifndef OSR_ADAPTER_DESCRIPTORS_H
#define OSR_ADAPTER_DESCRIPTORS_H

#include <stdint.h>

/* Raises the process's limit to `wanted`, or as far as the system lets it, and returns the limit
 * then in force. */
uint32_t osr_descriptors_raise(uint32_t wanted);

#endif
