/* json_array.h -- walks the elements of a JSON array that stands in memory as a whole. */
#ifndef OSR_NODE_JSON_ARRAY_H
#define OSR_NODE_JSON_ARRAY_H

#include "base/bytes.h"
#include "base/error.h"

/* Calls visit (may be NULL) with each element as it is written. Non-zero from it stops the walk and
 * is returned. MALFORMED, after any number of visits, where the text is no JSON array. */
int osr_json_array_walk(struct osr_slice text,
                        int (*visit)(void *context, struct osr_slice element, struct osr_err *err),
                        void *context, struct osr_err *err);

#endif
