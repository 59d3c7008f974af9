#include "bin/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fields.h"
#include "bin/display.h"
#include "bin/interrupt.h"

enum { PIECE_BYTES = 64 << 10, FIELD_NAME_COLUMNS = 12 };

void osr_output_init(struct osr_output *output, int fd)
{
    *output = (struct osr_output){.fd = fd, .columns = SIZE_MAX};
    output->is_terminal = isatty(fd) == 1;
    struct winsize size;
    if (output->is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        output->columns = size.ws_col;
    }
}

void osr_output_done(struct osr_output *output)
{
    osr_buffer_done(&output->buffer);
}

static void set_failure(struct osr_output *output, int errno_value)
{
    output->reader_gone = errno_value == EPIPE;
    if (errno_value == EPIPE || errno_value == EINTR) {
        osr_err_set(&output->failure, OSR_CANCELLED, "interrupted");
    } else {
        osr_err_errno(&output->failure, OSR_IO, errno_value, "cannot write the output");
    }
}

static void write_out(struct osr_output *output)
{
    size_t at = 0;
    while (at < output->buffer.size && output->failure.code == OSR_OK) {
        ssize_t written = write(output->fd, output->buffer.data + at, output->buffer.size - at);
        if (written >= 0) {
            at += (size_t)written;
        } else if (errno != EINTR || osr_interrupt_is_pending()) {
            set_failure(output, errno);
        }
    }
    output->buffer.size = 0;
}

static void write_out_if_large(struct osr_output *output)
{
    if (output->buffer.size >= PIECE_BYTES) {
        write_out(output);
    }
}

void osr_output_add(struct osr_output *output, struct osr_slice bytes)
{
    osr_buffer_add(&output->buffer, bytes.data, bytes.size);
    write_out_if_large(output);
}

void osr_output_add_text(struct osr_output *output, const char *text)
{
    osr_output_add(output, osr_slice_text(text));
}

void osr_output_add_format(struct osr_output *output, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length >= 0) {
        osr_output_add_text(output, text);
    }
    free(text);
}

void osr_output_add_message(struct osr_output *output, const ProtobufCMessage *message)
{
    if (output->is_yaml) {
        osr_buffer_add_text(&output->buffer, "---\n");
        osr_message_encode(OSR_CODEC_YAML, message, &output->buffer);
    } else {
        osr_message_encode(OSR_CODEC_JSON, message, &output->buffer);
        osr_buffer_add_u8(&output->buffer, '\n');
    }
    write_out_if_large(output);
}

void osr_output_add_lines(struct osr_output *output, struct osr_slice lines)
{
    struct osr_slice line;
    while (osr_fields_next_line(&lines, &line)) {
        Osr__Json json = OSR__JSON__INIT;
        json.text.data = (uint8_t *)line.data;
        json.text.len = line.size;
        osr_output_add_message(output, &json.base);
    }
}

void osr_output_add_field(struct osr_output *output, const char *name, const char *value)
{
    osr_buffer_add_format(&output->buffer, "%-*s", FIELD_NAME_COLUMNS, name);
    osr_display_clean(&output->buffer, osr_slice_text(value), OSR_DISPLAY_ONE_LINE);
    osr_buffer_add_u8(&output->buffer, '\n');
    write_out_if_large(output);
}

int osr_output_flush(struct osr_output *output, struct osr_err *err)
{
    write_out(output);
    if (output->failure.code != OSR_OK && err != NULL) {
        *err = output->failure;
    }
    return output->failure.code;
}
