/* Which messages make sense by themselves, before anybody looks what they mean here: numbers that
 * can be, entries that follow one another, sizes within their limits. What passes cannot make this
 * member read or write beyond anything, nor store what it could not take up again. */
#include "core/raft_internal.h"

/* ---- entries ---- */

static bool is_payload_valid(const struct osr_raft_entry *entry)
{
    struct osr_raft_configuration configuration;
    switch (entry->kind) {
    case OSR_RAFT_COMMAND:
        return entry->payload.size <= OSR_RAFT_COMMAND_BYTES_MAX;
    case OSR_RAFT_NOTHING:
        return entry->payload.size == 0;
    case OSR_RAFT_CONFIGURATION:
        return osr_raft_configuration_decode(entry->payload, &configuration, NULL) == 0;
    }
    return false;
}

/* Index and term 0 stand for the place in front of the first entry. */
static bool is_place_valid(uint64_t index, uint64_t term, uint64_t term_max)
{
    return (index == 0) == (term == 0) && index <= OSR_RAFT_INDEX_MAX && term <= term_max;
}

static const char *check_append(const struct osr_raft_message *message)
{
    uint64_t index = message->append.previous_index;
    uint64_t term = message->append.previous_term;
    size_t bytes = 0;
    if (!is_place_valid(index, term, message->term)) {
        return "no such place in a log";
    }
    if (message->append.count > OSR_RAFT_APPEND_ENTRIES_MAX ||
        (message->append.count > 0 && message->append.entries == NULL)) {
        return "too many entries";
    }
    for (size_t i = 0; i < message->append.count; i++) {
        const struct osr_raft_entry *entry = &message->append.entries[i];
        bytes += entry->payload.size;
        if (entry->index != ++index || entry->term < osr_raft_max(term, 1) ||
            entry->term > message->term || !is_payload_valid(entry)) {
            return "entries that cannot be";
        }
        term = entry->term;
    }
    return bytes > OSR_RAFT_MESSAGE_BYTES_MAX ? "too many bytes" : NULL;
}

/* ---- others ---- */

static const char *check_appended(const struct osr_raft_message *message)
{
    return message->appended.hint_index > message->appended.index ||
                   message->appended.hint_term > message->term
               ? "a hint that cannot be"
               : NULL;
}

static const char *check_vote_request(const struct osr_raft_message *message)
{
    return is_place_valid(message->vote_request.last_index, message->vote_request.last_term,
                          message->term - 1)
               ? NULL
               : "no such place in a log";
}

static const char *check_snapshot(const struct osr_raft_message *message)
{
    const struct osr_raft_snapshot *snapshot = message->snapshot.snapshot;
    uint64_t offset = message->snapshot.offset;
    size_t size = message->snapshot.chunk.size;
    if (snapshot == NULL || snapshot->index == 0 || snapshot->size == 0 ||
        !is_place_valid(snapshot->index, snapshot->term, message->term)) {
        return "a snapshot that cannot be";
    }
    if (offset > snapshot->size || size > snapshot->size - offset ||
        size > OSR_RAFT_MESSAGE_BYTES_MAX) {
        return "a chunk that cannot be";
    }
    if (offset == 0 && !osr_raft_configuration_is_valid(&snapshot->configuration)) {
        return "members that cannot be";
    }
    return NULL;
}

const char *osr_raft_check(const struct osr_raft *raft, const struct osr_raft_message *message)
{
    if (message->from == 0 || message->from == raft->options.member ||
        message->to != raft->options.member) {
        return "not for this member";
    }
    if (message->term == 0 || message->term > OSR_RAFT_TERM_MAX) {
        return "no such term";
    }
    switch (message->type) {
    case OSR_RAFT_VOTE_REQUEST:
        return check_vote_request(message);
    case OSR_RAFT_APPEND:
        return check_append(message);
    case OSR_RAFT_APPENDED:
        return check_appended(message);
    case OSR_RAFT_SNAPSHOT:
        return check_snapshot(message);
    case OSR_RAFT_VOTE_REPLY:
    case OSR_RAFT_SNAPSHOT_TAKEN:
    case OSR_RAFT_READ_REQUEST:
    case OSR_RAFT_READ_REPLY:
    case OSR_RAFT_ELECT_NOW:
        return NULL;
    }
    return "no such message";
}
