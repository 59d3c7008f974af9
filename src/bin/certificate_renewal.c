/* ca renew: a new certificate in the place of the one that --cert and --key show. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/authority.h"
#include "adapter/whole_file.h"
#include "bin/command.h"
#include "bin/display.h"

enum { FILE_BYTES_MAX = 1 << 20 }; /* stops a wrong file from being read whole */

struct renewal {
    struct osr_context *context;
    const char *path; /* of the certificate */
};

static int write_synced(const char *path, struct osr_slice text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        return errno;
    }
    errno = EIO; /* of a write that is cut short */
    bool is_written = write(fd, text.data, text.size) == (ssize_t)text.size && fsync(fd) == 0;
    int result = is_written ? 0 : errno;
    close(fd);
    return result;
}

/* The old one stays whole until the new one is. */
static int replace_file(const char *path, struct osr_slice text, struct osr_err *err)
{
    char *temporary = osr_format("%s.new", path);

    unlink(temporary); /* left behind by a crash */
    int result = write_synced(temporary, text);
    if (result == 0 && rename(temporary, path) != 0) {
        result = errno;
    }
    if (result != 0) {
        unlink(temporary);
    }
    free(temporary);
    return result == 0 ? OSR_OK : (int)osr_err_errno(err, OSR_IO, result, "cannot write %s", path);
}

static void write_outcome(struct renewal *renewal, const struct osr_certificate_facts *facts)
{
    struct osr_output *out = &renewal->context->out;
    char expires[OSR_DISPLAY_TIME_CHARS];

    osr_output_add_field(out, "serial", facts->serial);
    osr_output_add_field(out, "expires", osr_display_time(expires, facts->expires_s * 1000));
    osr_output_add_field(out, "certificate", renewal->path);
}

static int on_renewed(void *context, const ProtobufCMessage *reply)
{
    struct renewal *renewal = context;
    const Osr__RenewResponse *response = (const Osr__RenewResponse *)reply;
    struct osr_output *out = &renewal->context->out;
    struct osr_slice pem = osr_slice_text(response->certificate_pem);
    struct osr_certificate_facts facts;
    int code = osr_certificate_read(pem, &facts, &out->failure);

    if (code == OSR_OK) {
        code = replace_file(renewal->path, pem, &out->failure);
    }
    if (code == OSR_OK && renewal->context->json) {
        osr_output_add_message(out, reply);
    } else if (code == OSR_OK) {
        write_outcome(renewal, &facts);
    }
    return code;
}

static char *text_of(const struct osr_buffer *buffer)
{
    return osr_format("%.*s", (int)buffer->size, (const char *)buffer->data);
}

static int call_renew(struct renewal *renewal, struct osr_slice key, struct osr_err *err)
{
    struct osr_buffer request_pem = {0};
    struct osr_buffer present_pem = {0};
    Osr__RenewRequest request = OSR__RENEW_REQUEST__INIT;
    int code = osr_certificate_request(key, &request_pem, err);

    if (code == OSR_OK) {
        code = osr_file_read_whole(renewal->path, FILE_BYTES_MAX, &present_pem, err);
    }
    if (code == OSR_OK) {
        request.request_pem = text_of(&request_pem);
        request.certificate_pem = text_of(&present_pem);
        code = osr_context_call(renewal->context, "renew", &request.base, on_renewed, renewal, err);
        free(request.certificate_pem);
        free(request.request_pem);
    }
    osr_buffer_done(&present_pem);
    osr_buffer_done(&request_pem);
    return code;
}

int osr_run_ca_renew(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    struct renewal renewal = {context, arguments->values[OSR_FLAG_CERT]};
    const char *key_file = arguments->values[OSR_FLAG_KEY];
    struct osr_buffer key = {0};
    if (renewal.path == NULL) {
        return osr_run_renew(context, arguments, err);
    }
    if (key_file == NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "--key names the key of %s", renewal.path);
    }
    int code = osr_file_read_secret(key_file, "key", FILE_BYTES_MAX, &key, err);
    if (code == OSR_OK) {
        code = call_renew(&renewal, osr_buffer_slice(&key), err);
    }
    osr_secret_buffer_done(&key);
    return code;
}
