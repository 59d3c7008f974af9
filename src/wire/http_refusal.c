#include "wire/http_refusal.h"

#define BODY                                                                                       \
    "415: plain HTTP is not served here. This port speaks gRPC (HTTP/2 with content-type "         \
    "application/grpc) and frames of JSON, one a line.\n"

enum { METHOD_BYTES_MAX = 16 };

bool osr_http_is_request(struct osr_slice bytes)
{
    size_t size = 0;
    while (size < bytes.size && bytes.data[size] >= 'A' && bytes.data[size] <= 'Z') {
        size++;
    }
    return size > 0 && size <= METHOD_BYTES_MAX && size < bytes.size && bytes.data[size] == ' ';
}

void osr_http_write_refusal(struct osr_buffer *output)
{
    osr_buffer_add_format(output,
                          "HTTP/1.1 415 Unsupported Media Type\r\n"
                          "Content-Type: text/plain; charset=utf-8\r\n"
                          "Content-Length: %zu\r\n"
                          "Connection: close\r\n"
                          "\r\n" BODY,
                          sizeof(BODY) - 1);
}
