/* id_maker.h -- ids of new documents: ascending, also within one ms, and when the wall clock
 * goes back. */
#ifndef OSR_NODE_ID_MAKER_H
#define OSR_NODE_ID_MAKER_H

#include "model/document.h"

enum { OSR_ID_RANDOM_SIZE = 10 };

/* A zeroed one is valid. */
struct osr_id_maker {
    uint64_t time_ms; /* of the last id */
    uint8_t random[OSR_ID_RANDOM_SIZE];
};

/* Writes OSR_MADE_ID_CHARS characters and a NUL. */
void osr_id_maker_next(struct osr_id_maker *maker, uint64_t time_ms, char *id);

#endif
