/* seed_message.h -- an entry as seed programs read it: {"type":"UPDATE_KB","data":VALUE}. */
#ifndef OSR_NODE_SEED_MESSAGE_H
#define OSR_NODE_SEED_MESSAGE_H

#include "base/bytes.h"

/* They read so many bytes at once and take them for a whole message. */
enum { OSR_SEED_MESSAGE_BYTES_MAX = 1024 };

/* Appends the message, in ASCII and without a newline, for data as documents carry it. False,
 * and nothing appended, where it would be too long for them. */
bool osr_seed_message(struct osr_buffer *buffer, struct osr_slice data);

#endif
