/* requests.h -- the messages of grpc.testing that the test client sends and reads. */
#ifndef OSR_INTEROP_REQUESTS_H
#define OSR_INTEROP_REQUESTS_H

#include "base/bytes.h"

/* A field that may be left out. */
enum choice { NOT_SAID, NO, YES };

/* Sizes are of payloads, which are zeros. */
struct simple_request {
    size_t payload_size;
    int32_t response_size;
    enum choice response_compressed;
    enum choice expect_compressed;
    int status_code; /* 0: answer as usual */
    const char *status_message;
};

struct wanted_response {
    int32_t size;
    int32_t interval_us;
    enum choice compressed;
};

struct output_request {
    size_t payload_size;
    const struct wanted_response *wanted;
    size_t wanted_count;
    int status_code;
    const char *status_message;
};

/* Each fills a buffer, which is empty before. */
void pack_simple_request(struct osr_buffer *buffer, const struct simple_request *request);
void pack_output_request(struct osr_buffer *buffer, const struct output_request *request);
void pack_input_request(struct osr_buffer *buffer, size_t payload_size,
                        enum choice expect_compressed);

/* Of SimpleResponse and StreamingOutputCallResponse; -1 where the bytes are neither. */
int64_t payload_size_of(struct osr_slice response);
/* Of StreamingInputCallResponse; -1 where the bytes are none. */
int64_t aggregated_size_of(struct osr_slice response);

#endif
