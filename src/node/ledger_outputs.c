/* Carries out what the core puts out: to the log, to the state, to the other members, to requests.
 */
#include "node/ledger_internal.h"

#include <stdlib.h>

/* ---- what the core wants of the log ---- */

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct osr_ledger *ledger = context;
    struct osr_raft_event event = {.type = OSR_RAFT_STORED, .stored = {ticket, code}};
    osr_ledger_post(ledger, &event);
}

static void carry_out_store(struct osr_ledger *ledger, const struct osr_raft_output *output)
{
    const struct osr_ledger_store store = {
        .vote = output->store.has_vote ? &output->store.vote : NULL,
        .truncate_after = output->store.truncate_after,
        .entries = output->store.entries,
        .count = output->store.count,
        .done = on_stored,
        .context = ledger,
        .ticket = output->store.ticket,
    };
    osr_journal_ledger_store(ledger->journal, &store);
}

static void on_fetched(void *context, uint64_t ticket, const struct osr_raft_entry *entries,
                       size_t count)
{
    struct osr_ledger *ledger = context;
    struct osr_raft_event event = {.type = OSR_RAFT_FETCHED, .fetched = {ticket, entries, count}};
    osr_ledger_post(ledger, &event);
}

static void carry_out_fetch(struct osr_ledger *ledger, const struct osr_raft_output *output)
{
    const struct osr_ledger_read read = {
        .first = output->fetch.first,
        .last = output->fetch.last,
        .bytes_max = output->fetch.bytes_max,
        .done = on_fetched,
        .context = ledger,
        .ticket = output->fetch.ticket,
    };
    osr_journal_ledger_read(ledger->journal, &read);
}

/* What a full disk keeps out is said again with the next snapshot. */
static void on_base_stored(void *context, uint64_t ticket, enum osr_code code)
{
    (void)context;
    (void)ticket;
    (void)code;
}

static void carry_out_discard(struct osr_ledger *ledger, const struct osr_raft_output *output)
{
    const struct osr_ledger_store store = {
        .truncate_after = UINT64_MAX,
        .base = output->discard.index,
        .base_term = output->discard.term,
        .done = on_base_stored,
        .context = ledger,
    };
    osr_journal_ledger_store(ledger->journal, &store);
}

/* Nothing could be stored behind it. */
static void on_voided(void *context, uint64_t ticket, enum osr_code code)
{
    (void)ticket;
    if (code != OSR_OK) {
        struct osr_err err;
        osr_err_set(&err, code, "ledger: could not note that a snapshot stands for the log");
        osr_err_hint(&err, "make room on the disk of the data folder, then start again");
        osr_ledger_break(context, &err);
    }
}

void osr_ledger_void_log(struct osr_ledger *ledger)
{
    const struct osr_ledger_store store = {
        .truncate_after = ledger->snapshot.index,
        .base = ledger->snapshot.index,
        .base_term = ledger->snapshot.term,
        .done = on_voided,
        .context = ledger,
    };
    osr_journal_ledger_store(ledger->journal, &store);
}

/* ---- what the core wants of the state ---- */

static void carry_out_apply(struct osr_ledger *ledger, const struct osr_raft_output *output)
{
    const struct osr_raft_entry *entries = output->apply.entries;
    size_t count = output->apply.count;
    ledger->given_index = entries[count - 1].index;
    ledger->given_term = entries[count - 1].term;
    osr_ledger_state_apply(ledger->state, entries, count);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].kind == OSR_RAFT_CONFIGURATION) {
            osr_ledger_change_applied(ledger, entries[i].token);
        }
    }
}

static void on_command(void *context, const struct osr_raft_entry *entry,
                       const struct osr_ledger_command *command, enum osr_code code,
                       struct osr_slice reply)
{
    struct osr_ledger *ledger = context;
    if (command->start != ledger->start) {
        return;
    }
    struct ledger_request *request = osr_ledger_find_request(ledger, command->number);
    bool is_under_way =
        request != NULL && (request->state == LEDGER_PROPOSED || request->state == LEDGER_ASKED);
    /* One that waits has gone to nobody: another member has made up its envelope. */
    if (is_under_way && request->kind == LEDGER_COMMAND) {
        osr_buffer_add(&request->reply, reply.data, reply.size);
        osr_ledger_answer(ledger, request, code, entry->index);
    }
}

/* The core is told once it is not stepping. */
static void on_applied(void *context, uint64_t index)
{
    struct osr_ledger *ledger = context;
    ledger->applied_news = index;
    if (index >= ledger->given_index) {
        osr_ledger_term_applied(ledger, ledger->given_term, false);
    }
    if (!ledger->is_stepping) {
        osr_ledger_post(ledger, NULL);
    }
}

static void on_snapshot(void *context, const struct osr_raft_snapshot *snapshot)
{
    struct osr_raft_event event = {.type = OSR_RAFT_SNAPSHOT_MADE, .snapshot_made = snapshot};
    osr_ledger_post(context, &event);
}

static void on_chunk_read(void *context, uint64_t ticket, struct osr_slice chunk)
{
    struct osr_raft_event event = {.type = OSR_RAFT_CHUNK_READ, .chunk_read = {ticket, chunk}};
    osr_ledger_post(context, &event);
}

static void on_chunk_written(void *context, uint64_t ticket, enum osr_code code)
{
    struct osr_raft_event event = {.type = OSR_RAFT_CHUNK_WRITTEN, .chunk_written = {ticket, code}};
    osr_ledger_post(context, &event);
}

/* A snapshot that came: first its file, then the log says that it stands for what was there before,
 * then the values are made of it. A crash in between is mended at the next start. */

static void installed(struct osr_ledger *ledger, uint64_t ticket, enum osr_code code)
{
    struct osr_raft_event event = {.type = OSR_RAFT_INSTALLED, .installed = {ticket, code}};
    osr_ledger_post(ledger, &event);
}

static void on_install_noted(void *context, uint64_t ticket, enum osr_code code)
{
    struct osr_ledger *ledger = context;
    if (ledger->is_closing) {
        return; /* the state is closed already; the next start loads it */
    }
    if (code != OSR_OK) {
        installed(ledger, ticket, code);
    } else {
        osr_ledger_state_load(ledger->state, ticket, &ledger->installing);
    }
}

static void on_checked(void *context, uint64_t ticket, enum osr_code code)
{
    struct osr_ledger *ledger = context;
    const struct osr_raft_snapshot *snapshot = &ledger->installing;
    if (code != OSR_OK) {
        installed(ledger, ticket, code);
        return;
    }
    const struct osr_ledger_store store = {
        .truncate_after = snapshot->index,
        .base = snapshot->index,
        .base_term = snapshot->term,
        .done = on_install_noted,
        .context = ledger,
        .ticket = ticket,
    };
    osr_journal_ledger_store(ledger->journal, &store);
}

static void carry_out_install(struct osr_ledger *ledger, const struct osr_raft_output *output)
{
    struct osr_err err;
    ledger->installing = *output->install.snapshot;
    if (osr_ledger_check_versions(ledger, &ledger->installing.configuration, &err) != 0) {
        osr_ledger_break(ledger, &err);
        return;
    }
    osr_ledger_state_check(ledger->state, output->install.ticket, &ledger->installing);
}

static void on_loaded(void *context, uint64_t ticket)
{
    struct osr_ledger *ledger = context;
    osr_ledger_term_applied(ledger, ledger->installing.term, true);
    installed(ledger, ticket, OSR_OK);
}

static void on_state_failure(void *context, const struct osr_err *err)
{
    osr_ledger_break(context, err);
}

/* ---- outputs, in their order ---- */

/* It is on the disk as long as this term is the one on the disk: a later leader's cut gets there
 * together with its term. */
static void note_acknowledged(struct osr_ledger *ledger, const struct osr_raft_message *message)
{
    if (message->term != ledger->acknowledged_term) {
        ledger->acknowledged_term = message->term;
        ledger->acknowledged = 0;
    }
    if (message->appended.index > ledger->acknowledged) {
        ledger->acknowledged = message->appended.index;
    }
}

static void carry_out_send(struct osr_ledger *ledger, const struct osr_raft_message *message)
{
    if (message->type == OSR_RAFT_APPENDED && !message->appended.is_refused) {
        note_acknowledged(ledger, message);
    }
    if (!osr_ledger_links_send(ledger->links, ledger->id, message)) {
        osr_trace(ledger->trace, OSR_LEVEL_TRACE, "ledger: no link to member %llu",
                  (unsigned long long)message->to);
    }
}

static void carry_out_failed(struct osr_ledger *ledger, const struct osr_raft_output *output)
{
    uint64_t token = output->failed.token;
    enum osr_code code = output->failed.code;
    struct osr_err err;
    osr_err_set(&err, code, "ledger: %s", output->failed.why);
    if ((token & LEDGER_TOKEN_ASKED) != 0) {
        osr_ledger_ask_failed(ledger, token, &err);
    } else if (token != LEDGER_TOKEN_UPDATE) {
        osr_ledger_attempt_failed(ledger, token, &err);
    }
}

void osr_ledger_carry_out(struct osr_ledger *ledger, const struct osr_raft_output *output)
{
    switch (output->type) {
    case OSR_RAFT_OUT_STORE:
        carry_out_store(ledger, output);
        break;
    case OSR_RAFT_OUT_SEND:
        carry_out_send(ledger, output->send);
        break;
    case OSR_RAFT_OUT_APPLY:
        carry_out_apply(ledger, output);
        break;
    case OSR_RAFT_OUT_FAILED:
        carry_out_failed(ledger, output);
        break;
    case OSR_RAFT_OUT_READABLE:
        osr_ledger_readable(ledger, output->readable.token);
        break;
    case OSR_RAFT_OUT_FETCH:
        carry_out_fetch(ledger, output);
        break;
    case OSR_RAFT_OUT_DISCARD:
        carry_out_discard(ledger, output);
        break;
    case OSR_RAFT_OUT_READ_CHUNK:
        osr_ledger_state_read_chunk(ledger->state, output->read_chunk.ticket,
                                    output->read_chunk.index, output->read_chunk.offset,
                                    output->read_chunk.size);
        break;
    case OSR_RAFT_OUT_WRITE_CHUNK:
        osr_ledger_state_write_chunk(ledger->state, output->write_chunk.ticket,
                                     output->write_chunk.snapshot, output->write_chunk.offset,
                                     output->write_chunk.chunk);
        break;
    case OSR_RAFT_OUT_INSTALL:
        carry_out_install(ledger, output);
        break;
    case OSR_RAFT_OUT_TRANSFERRED:
        osr_ledger_transferred(ledger, output->transferred.token, output->transferred.code);
        break;
    case OSR_RAFT_OUT_ROLE:
        ledger->has_role_news = true;
        break;
    }
}

/* ---- the state ---- */

int osr_ledger_open_state(struct osr_ledger *ledger, struct osr_err *err)
{
    const struct osr_ledger_state_handler handler = {
        .on_command = on_command,
        .on_applied = on_applied,
        .on_snapshot = on_snapshot,
        .on_chunk_read = on_chunk_read,
        .on_chunk_written = on_chunk_written,
        .on_checked = on_checked,
        .on_loaded = on_loaded,
        .on_failure = on_state_failure,
        .context = ledger,
    };
    const struct osr_ledger_recovered *recovered = osr_journal_ledger(ledger->journal);
    char *folder = osr_format("%s/ledger", ledger->config->data);
    const struct osr_ledger_state_options options = {
        .folder = folder,
        .machines = ledger->machines,
        .machine_count = ledger->machine_count,
        .base = recovered->base,
        .last = recovered->last,
        .log_bytes = recovered->bytes,
        .trace = ledger->trace,
    };
    int code = osr_ledger_state_open(ledger->loop, &options, &handler, &ledger->state,
                                     &ledger->snapshot, &ledger->applied, err);
    free(folder);
    return code;
}
