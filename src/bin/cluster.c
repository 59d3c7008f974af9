/* cluster status, members, why, add, remove, promote, transfer: the members of the ledger. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fields.h"
#include "base/text.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/table.h"
#include "model/speakable.h"

/* Of a member, which is there to be copied: without commas. */
enum { NUMBER_CHARS = sizeof("18446744073709551615") };

static int call_status(struct osr_context *context, osr_on_reply *on_reply, void *on_reply_context,
                       struct osr_err *err)
{
    Osr__ClusterStatusRequest request = OSR__CLUSTER_STATUS_REQUEST__INIT;
    return osr_context_call(context, "cluster_status", &request.base, on_reply, on_reply_context,
                            err);
}

/* ---- members ---- */

/* On a terminal of 80 columns. */
static const struct osr_column member_columns[] = {
    {"NAME", 0},
    {"MEMBER", OSR_COLUMN_RIGHT | OSR_COLUMN_WHOLE},
    {"STANDING", 0},
    {"STATE", OSR_COLUMN_OPTIONAL},
    {"REACHABLE", 0},
    {"MATCHED", OSR_COLUMN_RIGHT | OSR_COLUMN_OPTIONAL},
    {"HEARD", OSR_COLUMN_RIGHT},
    {"TROUBLE", OSR_COLUMN_OPTIONAL},
};

static const char *standing_of(const Osr__MemberStatus *member)
{
    if (member->standing == OSR__MEMBER_STANDING__VOTER) {
        return "voter";
    }
    return member->promoted ? "learner, voter soon" : "learner";
}

/* What the leader knows, others have no number for. */
static void add_progress_cells(struct osr_table *table, const Osr__MemberStatus *member)
{
    char text[OSR_DURATION_CHARS];
    if (member->matched > 0) {
        osr_table_add_number(table, member->matched);
    } else {
        osr_table_add_text(table, "");
    }
    if (member->heard_ms > 0) {
        osr_table_add_text(table, osr_duration_write(text, member->heard_ms));
    } else {
        osr_table_add_text(table, "-");
    }
}

static const char *reach_of(const Osr__MemberStatus *member, bool is_self)
{
    if (is_self) {
        return "this one";
    }
    if (!member->reachable) {
        return "no";
    }
    return member->own_link ? "yes" : "by feeds";
}

static void add_member_row(struct osr_table *table, const Osr__ClusterStatusResponse *status,
                           const Osr__MemberStatus *member)
{
    char number[NUMBER_CHARS];
    bool is_self = member->member == status->member;
    snprintf(number, sizeof(number), "%" PRIu64, member->member);
    osr_table_add_text(table, member->name);
    osr_table_add_text(table, number);
    osr_table_add_text(table, standing_of(member));
    osr_table_add_text(table, member->leader ? "leader" : member->progress);
    osr_table_add_text(table, reach_of(member, is_self));
    add_progress_cells(table, member);
    osr_table_add_text(table, member->trouble);
}

static void write_members(struct osr_output *out, const Osr__ClusterStatusResponse *status)
{
    struct osr_table table;
    osr_table_init(&table, member_columns, sizeof(member_columns) / sizeof(member_columns[0]), out);
    for (size_t i = 0; i < status->n_members; i++) {
        add_member_row(&table, status, status->members[i]);
    }
    osr_table_finish(&table);
}

static int on_members(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__ClusterStatusResponse *status = (const Osr__ClusterStatusResponse *)reply;
    if (!run->json && status->n_members == 0) {
        osr_output_add_text(&run->out, "no members are known here yet\n");
    } else if (!run->json) {
        write_members(&run->out, status);
    }
    for (size_t i = 0; run->json && i < status->n_members; i++) {
        osr_output_add_message(&run->out, &status->members[i]->base);
    }
    return run->out.failure.code;
}

int osr_run_cluster_members(struct osr_context *context, const struct osr_arguments *arguments,
                            struct osr_err *err)
{
    (void)arguments;
    return call_status(context, on_members, context, err);
}

/* ---- status ---- */

/* One that was removed has no name any more. */
static const char *name_of(const Osr__ClusterStatusResponse *status, uint64_t member)
{
    for (size_t i = 0; i < status->n_members; i++) {
        if (status->members[i]->member == member) {
            return status->members[i]->name;
        }
    }
    return "none of the members";
}

static void add_member_field(struct osr_output *out, const char *title,
                             const Osr__ClusterStatusResponse *status, uint64_t member)
{
    char *text = member == 0 ? osr_strdup("none that is known")
                             : osr_format("%s (%" PRIu64 ")", name_of(status, member), member);
    osr_output_add_field(out, title, text);
    free(text);
}

static void add_number_field(struct osr_output *out, const char *title, uint64_t number)
{
    char text[OSR_DISPLAY_NUMBER_CHARS];
    osr_output_add_field(out, title, osr_display_number(text, number));
}

static void write_status(struct osr_output *out, const Osr__ClusterStatusResponse *status)
{
    char since[OSR_DURATION_CHARS];
    osr_output_add_field(out, "ledger", status->ledger[0] != '\0' ? status->ledger : "none yet");
    osr_output_add_field(out, "role", status->role);
    if (status->since_ms > 0) { /* else it has no part yet */
        osr_output_add_field(out, "for", osr_duration_write(since, status->since_ms));
    }
    add_member_field(out, "member", status, status->member);
    add_member_field(out, "leader", status, status->leader);
    add_number_field(out, "term", status->term);
    add_number_field(out, "last", status->last);
    add_number_field(out, "committed", status->commit);
    add_number_field(out, "applied", status->applied);
    add_number_field(out, "snapshot", status->snapshot);
    if (status->n_members > 0) {
        osr_output_add_text(out, "\n");
    }
    write_members(out, status);
}

static int on_status(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        write_status(&run->out, (const Osr__ClusterStatusResponse *)reply);
    }
    return run->out.failure.code;
}

int osr_run_cluster_status(struct osr_context *context, const struct osr_arguments *arguments,
                           struct osr_err *err)
{
    (void)arguments;
    return call_status(context, on_status, context, err);
}

/* ---- why ---- */

static void write_finding_line(struct osr_output *out, const char *finding)
{
    struct osr_buffer line = {0};
    osr_fields_begin(&line);
    osr_fields_add(&line, "finding", finding);
    osr_fields_end(&line);
    osr_output_add_lines(out, osr_buffer_slice(&line));
    osr_buffer_done(&line);
}

/* How much of the text goes on a line of so many columns: whole words, if any one fits; all of it
 * where not even a character does. */
static size_t line_of(struct osr_slice text, size_t columns)
{
    size_t size = osr_display_fit(text, columns);
    size_t end = size;
    while (size < text.size && end > 0 && text.data[end] != ' ') {
        end--;
    }
    end = end > 0 ? end : size;
    return end > 0 ? end : text.size;
}

/* Lines are as long as is good to read, on a terminal; others wrap as they like. */
static void write_paragraph(struct osr_output *out, const char *finding)
{
    enum { READABLE_COLUMNS = 80 };
    size_t columns = out->columns < READABLE_COLUMNS ? out->columns : READABLE_COLUMNS;
    struct osr_buffer text = {0};
    osr_display_clean(&text, osr_slice_text(finding), OSR_DISPLAY_ONE_LINE);
    struct osr_slice rest = osr_buffer_slice(&text);
    do {
        size_t size = out->is_terminal ? line_of(rest, columns) : rest.size;
        osr_output_add(out, osr_slice(rest.data, size));
        osr_output_add_text(out, "\n");
        size += size < rest.size && rest.data[size] == ' ';
        rest = osr_slice(rest.data + size, rest.size - size);
    } while (rest.size > 0);
    osr_buffer_done(&text);
}

static int on_why(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__ClusterStatusResponse *status = (const Osr__ClusterStatusResponse *)reply;
    for (size_t i = 0; i < status->n_findings; i++) {
        if (run->json) {
            write_finding_line(&run->out, status->findings[i]);
            continue;
        }
        osr_output_add_text(&run->out, i > 0 ? "\n" : "");
        write_paragraph(&run->out, status->findings[i]);
    }
    return run->out.failure.code;
}

int osr_run_cluster_why(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    (void)arguments;
    return call_status(context, on_why, context, err);
}

/* ---- add, remove, promote ---- */

struct change {
    struct osr_context *context;
    const char *outcome; /* "removed" */
    const char *rest;    /* behind that; may be empty */
    const char *name;    /* as it was typed */
};

static int on_changed(void *context, const ProtobufCMessage *reply)
{
    const struct change *change = context;
    struct osr_output *out = &change->context->out;
    if (change->context->json) {
        osr_output_add_message(out, reply);
    } else {
        osr_output_add_format(out, "%s %s, member %" PRIu64 "%s\n", change->outcome, change->name,
                              ((const Osr__ClusterChangeResponse *)reply)->member, change->rest);
    }
    return out->failure.code;
}

static int call_change(struct osr_context *context, Osr__ClusterChangeRequest *request,
                       const char *outcome, const char *rest, struct osr_err *err)
{
    struct change change = {context, outcome, rest, request->member};
    request->timeout_ms = context->acks_timeout_ms;
    context->timeout_ms = osr_context_write_timeout_ms(context);
    return osr_context_call(context, "cluster_change", &request->base, on_changed, &change, err);
}

int osr_run_cluster_add(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    Osr__ClusterChangeRequest request = OSR__CLUSTER_CHANGE_REQUEST__INIT;
    request.change = OSR__CLUSTER_CHANGE_TYPE__ADD_MEMBER;
    request.member = arguments->operands[0];
    request.learner = osr_arguments_has(arguments, OSR_FLAG_LEARNER);
    return call_change(context, &request, "added",
                       request.learner
                           ? "; it stays a learner"
                           : "; it becomes a voter once it has caught up, up to voters-max",
                       err);
}

int osr_run_cluster_promote(struct osr_context *context, const struct osr_arguments *arguments,
                            struct osr_err *err)
{
    Osr__ClusterChangeRequest request = OSR__CLUSTER_CHANGE_REQUEST__INIT;
    request.change = OSR__CLUSTER_CHANGE_TYPE__PROMOTE_MEMBER;
    request.member = arguments->operands[0];
    return call_change(context, &request, "promoted", "", err);
}

/* What is to be known before a member is removed. */
struct removal {
    const char *member; /* as it was typed */
    char away[64];      /* the name of another voter that cannot be reached; "": all others can */
};

static bool is_meant(const Osr__MemberStatus *member, const char *text)
{
    char number[NUMBER_CHARS];
    snprintf(number, sizeof(number), "%" PRIu64, member->member);
    return strcmp(text, number) == 0 || strcmp(text, member->name) == 0 ||
           (strlen(member->instance) == OSR_INSTANCE_CHARS &&
            osr_speakable_check(text, member->instance, NULL) == 0);
}

static int on_looked(void *context, const ProtobufCMessage *reply)
{
    const Osr__ClusterStatusResponse *status = (const Osr__ClusterStatusResponse *)reply;
    struct removal *removal = context;
    for (size_t i = 0; i < status->n_members; i++) {
        const Osr__MemberStatus *member = status->members[i];
        if (member->standing == OSR__MEMBER_STANDING__VOTER && !member->reachable &&
            member->member != status->member && !is_meant(member, removal->member)) {
            snprintf(removal->away, sizeof(removal->away), "%s", member->name);
        }
    }
    return OSR_OK;
}

static bool ask_person(const struct removal *removal)
{
    struct osr_buffer question = {0};
    char answer[8] = "";
    osr_display_clean(&question, osr_slice_text(removal->away), OSR_DISPLAY_ONE_LINE);
    fprintf(stderr,
            "%.*s cannot be reached, and counts for the majority that every write needs.\n"
            "Without %s as well, writes may stop. Remove %s all the same? [y/N] ",
            (int)question.size, (const char *)question.data, removal->member, removal->member);
    osr_buffer_done(&question);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Dangerous is only what may leave too few voters: that has to be meant. */
static int confirm(const struct removal *removal, struct osr_err *err)
{
    bool has_person = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    if (removal->away[0] == '\0' || (has_person && ask_person(removal))) {
        return OSR_OK;
    }
    if (has_person) {
        return (int)osr_err_set(err, OSR_CANCELLED, "nothing was removed");
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT,
                "%s cannot be reached: without %s as well, writes may stop", removal->away,
                removal->member);
    osr_err_hint(err, "--yes removes it all the same");
    return OSR_INVALID_ARGUMENT;
}

int osr_run_cluster_remove(struct osr_context *context, const struct osr_arguments *arguments,
                           struct osr_err *err)
{
    Osr__ClusterChangeRequest request = OSR__CLUSTER_CHANGE_REQUEST__INIT;
    struct removal removal = {.member = arguments->operands[0]};
    request.change = OSR__CLUSTER_CHANGE_TYPE__REMOVE_MEMBER;
    request.member = arguments->operands[0];
    if (!osr_arguments_has(arguments, OSR_FLAG_YES)) {
        int code = call_status(context, on_looked, &removal, err);
        if (code == OSR_OK) {
            code = confirm(&removal, err);
        }
        if (code != OSR_OK) {
            return code;
        }
    }
    return call_change(context, &request, "removed", "", err);
}

/* ---- transfer ---- */

static void write_leader(struct osr_output *out, const Osr__ClusterTransferResponse *response)
{
    struct osr_buffer name = {0};
    osr_display_clean(&name, osr_slice_text(response->name), OSR_DISPLAY_ONE_LINE);
    if (name.size > 0) {
        osr_output_add(out, osr_buffer_slice(&name));
        osr_output_add_format(out, " (%" PRIu64 ") leads\n", response->leader);
    } else {
        osr_output_add_format(out, "member %" PRIu64 " leads\n", response->leader);
    }
    osr_buffer_done(&name);
}

static int on_transferred(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        write_leader(&run->out, (const Osr__ClusterTransferResponse *)reply);
    }
    return run->out.failure.code;
}

int osr_run_cluster_transfer(struct osr_context *context, const struct osr_arguments *arguments,
                             struct osr_err *err)
{
    Osr__ClusterTransferRequest request = OSR__CLUSTER_TRANSFER_REQUEST__INIT;
    if (arguments->operand_count > 0) {
        request.member = arguments->operands[0];
    }
    request.timeout_ms = context->acks_timeout_ms;
    context->timeout_ms = osr_context_write_timeout_ms(context);
    return osr_context_call(context, "cluster_transfer", &request.base, on_transferred, context,
                            err);
}
