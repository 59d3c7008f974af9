/* output.h -- standard output, with every failure noticed.
 *
 * Bytes are gathered and written in large pieces; osr_output_flush writes what is left. The first
 * failure is kept in `failure`, and what is added after it goes nowhere, so that only who
 * streams needs to look in between. A reader that has gone away (`| head`) is CANCELLED with
 * `reader_gone` set: no failure for the user. */
#ifndef OSR_BIN_OUTPUT_H
#define OSR_BIN_OUTPUT_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/codec.h"

struct osr_output {
    int fd;
    bool is_terminal;
    bool reader_gone;
    size_t columns; /* width of the terminal; SIZE_MAX where it is none */
    bool is_yaml;   /* messages are YAML documents, not JSON lines */
    struct osr_buffer buffer;
    struct osr_err failure; /* code OK while all went well */
};

void osr_output_init(struct osr_output *output, int fd);
void osr_output_done(struct osr_output *output); /* does not flush */

void osr_output_add(struct osr_output *output, struct osr_slice bytes);
void osr_output_add_text(struct osr_output *output, const char *text);
void osr_output_add_format(struct osr_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A message as JSON, and a newline; or as a YAML document, "---" before it. */
void osr_output_add_message(struct osr_output *output, const ProtobufCMessage *message);
/* Lines that are JSON, each as a message is. */
void osr_output_add_lines(struct osr_output *output, struct osr_slice lines);
/* A name and its value on one line, values below each other. */
void osr_output_add_field(struct osr_output *output, const char *name, const char *value);

int osr_output_flush(struct osr_output *output, struct osr_err *err);

#endif
