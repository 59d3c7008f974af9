/* renew; ca init, list, add, issue, revoke: the cluster's CA and its certificates. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/authority.h"
#include "adapter/whole_file.h"
#include "base/fields.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/launch.h"
#include "bin/table.h"

/* ---- renew ---- */

static int on_renewed(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__RenewOwnResponse *response = (const Osr__RenewOwnResponse *)reply;
    char expires[OSR_DISPLAY_TIME_CHARS];
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_field(&run->out, "serial", response->serial);
        osr_output_add_field(&run->out, "expires", osr_display_time(expires, response->expires_ms));
        osr_output_add_field(&run->out, "issuer", response->issuer);
    }
    return run->out.failure.code;
}

int osr_run_renew(struct osr_context *context, const struct osr_arguments *arguments,
                  struct osr_err *err)
{
    (void)arguments;
    Osr__RenewOwnRequest request = OSR__RENEW_OWN_REQUEST__INIT;
    return osr_context_call(context, "renew_own", &request.base, on_renewed, context, err);
}

/* ---- ca init ---- */

int osr_run_ca_init(struct osr_context *context, const struct osr_arguments *arguments,
                    struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    osr_daemon_add(&words, "ca-init");
    int code = osr_launch_change(context, &words, arguments, osr_slice(NULL, 0), err);
    if (code == OSR_OK && !context->json) {
        osr_output_add_text(&context->out, "This instance has the cluster's CA, and a certificate "
                                           "of it. Another machine joins by:\n"
                                           "osiris invite\n");
    }
    return code;
}

/* ---- ca list ---- */

static const struct osr_column certificate_columns[] = {{"STATE", OSR_COLUMN_WHOLE},
                                                        {"SUBJECT", 0},
                                                        {"EXPIRES", OSR_COLUMN_WHOLE},
                                                        {"SERIAL", OSR_COLUMN_WHOLE},
                                                        {"FINGERPRINT", 0}};

static int show_certificate(struct osr_table *table, struct osr_slice line, struct osr_err *err)
{
    char expires[OSR_DISPLAY_TIME_CHARS];
    struct osr_fields fields;
    int code = osr_fields_read(line, &fields, err);
    if (code != OSR_OK) {
        return code;
    }
    uint64_t expires_ms = strtoull(osr_fields_get(&fields, "expires_ms"), NULL, 10);
    osr_table_add_text(table, osr_fields_get(&fields, "state"));
    osr_table_add_text(table, osr_fields_get(&fields, "subject"));
    osr_table_add_text(table, osr_display_time(expires, expires_ms));
    osr_table_add_text(table, osr_fields_get(&fields, "serial"));
    osr_table_add_text(table, osr_fields_get(&fields, "fingerprint"));
    osr_fields_done(&fields);
    return OSR_OK;
}

/* The folder's own, which osirisd reads. */
static int list_folder(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_table *table, struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    struct osr_buffer lines = {0};
    osr_daemon_add(&words, "ca-list");
    osr_daemon_add_flags(&words, arguments);
    int code = osr_daemon_set_up(&words, osr_slice(NULL, 0), &lines, err);
    struct osr_slice rest = osr_buffer_slice(&lines), line;
    if (code == OSR_OK && context->json) {
        osr_output_add_lines(&context->out, rest);
    } else if (code == OSR_OK) {
        while (code == OSR_OK && osr_fields_next_line(&rest, &line)) {
            code = show_certificate(table, line, err);
        }
    }
    osr_buffer_done(&lines);
    return code;
}

struct listing {
    struct osr_context *context;
    struct osr_table *table;
};

static void show_member(struct osr_table *table, const Osr__Credential *member)
{
    char expires[OSR_DISPLAY_TIME_CHARS];
    char *subject = osr_format("instance:%s", member->id);
    osr_table_add_text(table, member->state);
    osr_table_add_text(table, subject);
    osr_table_add_text(table, osr_display_time(expires, member->expires_ms));
    osr_table_add_text(table, member->serial);
    osr_table_add_text(table, "");
    free(subject);
}

static void show_revocation(struct osr_table *table, const Osr__Credential *revocation)
{
    osr_table_add_text(table, revocation->state);
    osr_table_add_text(table, revocation->name);
    osr_table_add_text(table, "");
    osr_table_add_text(table, revocation->id);
    osr_table_add_text(table, "");
}

static int on_credentials(void *context, const ProtobufCMessage *reply)
{
    const struct listing *listing = context;
    const Osr__CredentialsResponse *response = (const Osr__CredentialsResponse *)reply;
    for (size_t i = 0; i < response->n_credentials; i++) {
        const Osr__Credential *credential = response->credentials[i];
        if (listing->context->json) {
            osr_output_add_message(&listing->context->out, &credential->base);
        } else if (strcmp(credential->kind, "member") == 0) {
            show_member(listing->table, credential);
        } else {
            show_revocation(listing->table, credential);
        }
    }
    return listing->context->out.failure.code;
}

/* Members with their certificates, and what was revoked. */
static int list_credentials(struct osr_context *context, struct osr_table *table,
                            struct osr_err *err)
{
    static const char *const kinds[] = {"member", "revocation"};
    struct listing listing = {context, table};
    int code = OSR_OK;
    for (size_t i = 0; code == OSR_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        Osr__CredentialsRequest request = OSR__CREDENTIALS_REQUEST__INIT;
        request.kind = (char *)kinds[i];
        code =
            osr_context_call(context, "credentials", &request.base, on_credentials, &listing, err);
    }
    return code;
}

int osr_run_ca_list(struct osr_context *context, const struct osr_arguments *arguments,
                    struct osr_err *err)
{
    struct osr_table table;
    osr_table_init(&table, certificate_columns,
                   sizeof(certificate_columns) / sizeof(certificate_columns[0]), &context->out);
    int code = OSR_OK;
    if (!osr_arguments_has(arguments, OSR_FLAG_TO)) {
        code = list_folder(context, arguments, &table, err);
    }
    if (code == OSR_OK) {
        code = list_credentials(context, &table, err);
        /* Of a folder whose instance does not run, what stands there is all that can be said. */
        code =
            code == OSR_UNAVAILABLE && !osr_arguments_has(arguments, OSR_FLAG_TO) ? OSR_OK : code;
    }
    osr_table_finish(&table);
    return code;
}

/* ---- ca add ---- */

int osr_run_ca_add(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    enum { FILE_BYTES_MAX = 1 << 20 }; /* stops a wrong file from being read whole */
    struct osr_daemon_words words = {0};
    struct osr_buffer certificates = {0};
    int code = osr_file_read_whole(arguments->operands[0], FILE_BYTES_MAX, &certificates, err);
    if (code == OSR_OK) {
        osr_daemon_add(&words, "ca-add");
        code = osr_launch_change(context, &words, arguments, osr_buffer_slice(&certificates), err);
    }
    osr_buffer_done(&certificates);
    return code;
}

/* ---- ca issue ---- */

struct issue {
    struct osr_context *context;
    const char *who;
    char *out;             /* the files' names without their ends */
    struct osr_buffer key; /* made here; empty with --request */
    struct osr_buffer request;
};

/* Never over another one: a key that is lost is lost. */
static int write_new_file(const char *path, struct osr_slice content, mode_t mode,
                          struct osr_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST) {
        osr_err_set(err, OSR_ALREADY_EXISTS, "%s is there already", path);
        osr_err_hint(err, "--out PREFIX gives the files another name");
        return OSR_ALREADY_EXISTS;
    }
    if (fd < 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot write %s", path);
    }
    bool is_written = write(fd, content.data, content.size) == (ssize_t)content.size;
    int result = is_written && fsync(fd) == 0 ? 0 : errno;
    close(fd);
    if (result != 0) {
        unlink(path);
        return (int)osr_err_errno(err, OSR_IO, result, "cannot write %s", path);
    }
    return OSR_OK;
}

static int make_request(struct issue *issue, const char *file, struct osr_err *err)
{
    if (file != NULL) {
        return osr_file_read_whole(file, OSR_CERTIFICATE_REQUEST_BYTES_MAX, &issue->request, err);
    }
    osr_tls_key_make(&issue->key);
    return osr_certificate_request(osr_buffer_slice(&issue->key), &issue->request, err);
}

static int on_issue(void *context, const ProtobufCMessage *reply)
{
    struct issue *issue = context;
    const Osr__IssueResponse *response = (const Osr__IssueResponse *)reply;
    struct osr_output *out = &issue->context->out;
    struct osr_err *failure = &out->failure;
    char *path = osr_format("%s.crt", issue->out);
    int code = write_new_file(path, osr_slice_text(response->certificate_pem), 0644, failure);
    if (code == OSR_OK && issue->context->json) {
        osr_output_add_message(out, reply);
    } else if (code == OSR_OK) {
        osr_output_add_field(out, "serial", response->serial);
        osr_output_add_field(out, "certificate", path);
    }
    free(path);
    return code;
}

static int write_key(const struct issue *issue, struct osr_err *err)
{
    if (issue->key.size == 0) {
        return OSR_OK;
    }
    char *path = osr_format("%s.key", issue->out);
    int code = write_new_file(path, osr_buffer_slice(&issue->key), 0600, err);
    if (code == OSR_OK && !issue->context->json) {
        osr_output_add_field(&issue->context->out, "key", path);
    }
    free(path);
    return code;
}

static int call_issue(struct issue *issue, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    enum { DAYS_MAX = 3650 };
    const char *hosts[OSR_REPEATED_MAX];
    const char *subject = arguments->values[OSR_FLAG_NAME];
    uint64_t days;
    int code = osr_arguments_number(arguments, OSR_FLAG_DAYS, 0, DAYS_MAX, &days, err);
    if (code != OSR_OK) {
        return code;
    }
    char *pem = osr_format("%.*s", (int)issue->request.size, (const char *)issue->request.data);
    Osr__IssueRequest request = OSR__ISSUE_REQUEST__INIT;
    request.request_pem = pem;
    request.who = (char *)issue->who;
    request.subject = (char *)(subject != NULL ? subject : "");
    request.n_names = osr_arguments_list(arguments, OSR_FLAG_HOST, hosts);
    request.names = (char **)hosts;
    request.days = (uint32_t)days;
    code = osr_context_call(issue->context, "issue", &request.base, on_issue, issue, err);
    free(pem);
    return code;
}

/* "user:ana" -> "ana" */
static char *default_prefix(const char *who)
{
    const char *colon = strchr(who, ':');
    char *prefix = osr_strdup(colon != NULL ? colon + 1 : who);
    for (char *at = prefix; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '_';
        }
    }
    return prefix;
}

int osr_run_ca_issue(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    const char *out = arguments->values[OSR_FLAG_OUT];
    struct issue issue = {
        .context = context,
        .who = arguments->operands[0],
        .out = out != NULL ? osr_strdup(out) : default_prefix(arguments->operands[0]),
    };
    int code = make_request(&issue, arguments->values[OSR_FLAG_REQUEST], err);
    if (code == OSR_OK) {
        code = write_key(&issue, err);
    }
    if (code == OSR_OK) {
        code = call_issue(&issue, arguments, err);
        if (code != OSR_OK && issue.key.size > 0) {
            char *path = osr_format("%s.key", issue.out);
            unlink(path); /* nothing half done */
            free(path);
            context->out.buffer.size = 0;
        }
    }
    osr_secret_buffer_done(&issue.key);
    osr_buffer_done(&issue.request);
    free(issue.out);
    return code;
}

/* ---- ca revoke ---- */

struct revocation {
    struct osr_context *context;
    const char *serial; /* NULL: an instance's, with all its certificates */
};

static int on_revoked(void *context, const ProtobufCMessage *reply)
{
    const struct revocation *revocation = context;
    struct osr_context *run = revocation->context;
    const Osr__RevokeResponse *response = (const Osr__RevokeResponse *)reply;
    if (revocation->serial != NULL && response->who[0] == '\0') {
        fprintf(stderr,
                "%s is revoked; no certificate with this serial is known here (people's are not "
                "listed): check it\n",
                revocation->serial);
    }
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_text(&run->out, response->local
                                           ? "revoked, here alone: the others hear of it from the "
                                             "CA's instance, where it is to be revoked as well\n"
                                           : "revoked\n");
    }
    return run->out.failure.code;
}

int osr_run_ca_revoke(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    const char *instance = arguments->values[OSR_FLAG_INSTANCE];
    struct revocation revocation = {context, NULL};
    Osr__RevokeRequest request = OSR__REVOKE_REQUEST__INIT;
    if ((arguments->operand_count == 1) == (instance != NULL)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT,
                    "either a certificate is revoked, by its serial number, or an instance with "
                    "all of its certificates, by --instance ID");
        osr_err_hint(err, "osiris ca list and osiris -o json feeds show them");
        return OSR_INVALID_ARGUMENT;
    }
    if (instance != NULL) {
        request.what_case = OSR__REVOKE_REQUEST__WHAT_INSTANCE;
        request.instance = (char *)instance;
    } else {
        request.what_case = OSR__REVOKE_REQUEST__WHAT_CERTIFICATE;
        request.certificate = arguments->operands[0];
        revocation.serial = arguments->operands[0];
    }
    return osr_context_call(context, "revoke", &request.base, on_revoked, &revocation, err);
}
