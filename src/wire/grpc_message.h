/* grpc_message.h -- messages in a call's DATA: a flag byte (1: compressed), the length (u32,
 * big-endian), the bytes. A message may span DATA frames and a frame many messages.
 *
 * Compression is per message: gzip or deflate (zlib), by what grpc-encoding named. */
#ifndef OSR_WIRE_GRPC_MESSAGE_H
#define OSR_WIRE_GRPC_MESSAGE_H

#include "base/bytes.h"
#include "wire/grpc_status.h"

enum osr_grpc_encoding {
    OSR_GRPC_IDENTITY,
    OSR_GRPC_GZIP,
    OSR_GRPC_DEFLATE,
    OSR_GRPC_ENCODING_UNKNOWN,
};

enum {
    OSR_GRPC_PREFIX_BYTES = 5,
    /* Smaller messages are sent as they are: compressing them costs more than it saves. */
    OSR_GRPC_COMPRESS_BYTES_MIN = 1024,
};

enum osr_grpc_encoding osr_grpc_encoding_parse(struct osr_slice name);
/* Whether grpc-accept-encoding ("identity, gzip") names it. */
bool osr_grpc_encoding_is_accepted(struct osr_slice accept, enum osr_grpc_encoding encoding);
const char *osr_grpc_encoding_name(enum osr_grpc_encoding encoding);
#define OSR_GRPC_ACCEPT_ENCODING "identity,deflate,gzip"

/* Puts messages together. */
struct osr_grpc_reader {
    enum osr_grpc_encoding encoding; /* of the peer's compressed messages; set by the owner */
    size_t bytes_max;                /* of a message, before and after decompression; < 4 GiB */
    bool was_compressed;             /* the message found last */
    struct osr_buffer partial;       /* what has come of the message at hand, with its prefix */
    struct osr_buffer inflated;
};

void osr_grpc_reader_init(struct osr_grpc_reader *reader, size_t bytes_max);
void osr_grpc_reader_done(struct osr_grpc_reader *reader);

/* Takes from the front of *data what belongs to the next message. OSR_GRPC_OK with *ret_found:
 * here is one, valid until the next call; call again for what is left in *data. OK without:
 * *data is used up. Else the call's status: RESOURCE_EXHAUSTED (too large, by its prefix or
 * inflated), INTERNAL (a flag that is neither 0 nor 1, compressed without an encoding, broken
 * compressed bytes), UNIMPLEMENTED (unknown encoding); ret_why says more, static. */
enum osr_grpc_code osr_grpc_reader_next(struct osr_grpc_reader *reader, struct osr_slice *data,
                                        struct osr_slice *ret_message, bool *ret_found,
                                        const char **ret_why);
/* A message has begun and is not complete. */
bool osr_grpc_reader_is_partial(const struct osr_grpc_reader *reader);

/* Room for a prefix; the message is appended behind it. Returns where it begins. */
size_t osr_grpc_prefix_begin(struct osr_buffer *buffer);
/* Fills the prefix in; compresses the message in place where that makes it smaller. */
void osr_grpc_prefix_end(struct osr_buffer *buffer, size_t begin, enum osr_grpc_encoding encoding);

#endif
