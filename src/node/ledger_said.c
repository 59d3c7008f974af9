/* MEMBER: what this instance says of itself on each link, and what others say of themselves. */
#include <stdio.h>

#include "base/text.h"
#include "node/ledger_addresses.h"
#include "node/ledger_links_internal.h"
#include "wire/codec.h"

/* ---- saying ---- */

/* A MEMBER with what it points to. */
struct member_frame {
    Osr__Member member;
    struct osr_ledger_standing own;
    char text[OSR_LEDGER_ADDRESSES_MAX][OSR_URL_TEXT_MAX];
    char *addresses[OSR_LEDGER_ADDRESSES_MAX];
    uint32_t versions[OSR_MACHINES_MAX];
    struct osr_buffer configuration;
};

static bool is_on_this_machine(const char *text)
{
    struct osr_url url;
    return osr_url_parse(text, &url, NULL) == 0 && osr_url_is_loopback(&url);
}

static size_t list_addresses(const struct osr_ledger_links *links, bool is_local,
                             char addresses[OSR_LEDGER_ADDRESSES_MAX][OSR_URL_TEXT_MAX])
{
    const struct osr_ledger_links_options *options = &links->options;
    size_t count = 0;
    for (size_t i = 0; i < *options->listener_count && count < OSR_LEDGER_ADDRESSES_MAX; i++) {
        const char *url = osr_listener_url(options->listeners[i]);
        count += osr_ledger_address_tell(url, is_local, addresses[count]);
    }
    return count;
}

/* To members alone. */
static void fill_configuration(const struct osr_ledger_links *links, const struct ledger_link *link,
                               struct member_frame *frame)
{
    const struct osr_raft_configuration *configuration = osr_ledger_links_configuration(links);
    if (link->kind == LEDGER_MEMBER && configuration->count > 0) {
        osr_raft_configuration_encode(configuration, &frame->configuration);
        frame->member.configuration.data = frame->configuration.data;
        frame->member.configuration.len = frame->configuration.size;
    }
}

static void fill_frame(const struct osr_ledger_links *links, const struct ledger_link *link,
                       struct member_frame *frame)
{
    Osr__Member *member = &frame->member;
    const struct osr_ledger_standing *own = &frame->own;
    links->handler.standing(links->handler.context, &frame->own);
    osr__member__init(member);
    member->ledger = frame->own.ledger;
    member->member = own->member;
    member->starts = own->starts;
    member->term = own->term;
    member->wants_in = own->wants_in;
    member->your_member = link->welcome;
    member->refused = (Osr__Code)link->refusal.code;
    member->why = (char *)link->refusal.message;
    member->n_addresses =
        list_addresses(links, is_on_this_machine(osr_session_url(link->session)), frame->text);
    for (size_t i = 0; i < member->n_addresses; i++) {
        frame->addresses[i] = frame->text[i];
    }
    for (size_t i = 0; i < OSR_MACHINES_MAX; i++) {
        frame->versions[i] = own->versions[i];
        member->n_versions = own->versions[i] != 0 ? i + 1 : member->n_versions;
    }
    member->addresses = frame->addresses;
    member->versions = frame->versions;
    fill_configuration(links, link, frame);
}

/* Whether it differs from what was told last; notes it. */
static bool is_news(struct ledger_link *link, const Osr__Member *member)
{
    struct osr_buffer bytes = {0};
    osr_message_encode(OSR_CODEC_PROTOBUF, &member->base, &bytes);
    bool is_same = osr_slice_equal(osr_buffer_slice(&bytes), osr_buffer_slice(&link->told));
    osr_buffer_done(&link->told);
    link->told = bytes;
    return !is_same;
}

void osr_ledger_said_tell(struct osr_ledger_links *links, struct ledger_link *link, bool again)
{
    struct member_frame said = {.configuration = {0}};
    fill_frame(links, link, &said);
    if (is_news(link, &said.member) || again) {
        said.member.last_index = said.own.last_index; /* rises all the time, and is told along */
        Osr__Frame frame = OSR__FRAME__INIT;
        osr_frame_set_body(&frame, OSR__FRAME__BODY_MEMBER, &said.member.base);
        osr_session_send(link->session, &frame);
    }
    osr_buffer_done(&said.configuration);
}

void osr_ledger_links_own(const struct osr_ledger_links *links,
                          struct osr_ledger_member *ret_member)
{
    *ret_member = (struct osr_ledger_member){0};
    snprintf(ret_member->instance, sizeof(ret_member->instance), "%s", links->options.instance);
    snprintf(ret_member->name, sizeof(ret_member->name), "%s", links->options.config->name);
    ret_member->address_count = list_addresses(links, true, ret_member->addresses);
}

/* ---- reading ---- */

static bool is_ledger_id(const char *text)
{
    uint8_t id[OSR_LEDGER_ID_CHARS];
    return text[0] == '\0' ||
           (strlen(text) == OSR_LEDGER_ID_CHARS && osr_base32_decode(id, osr_slice_text(text)));
}

static bool is_configuration(struct osr_slice bytes)
{
    struct osr_raft_configuration configuration;
    return bytes.size == 0 || osr_raft_configuration_decode(bytes, &configuration, NULL) == 0;
}

void osr_ledger_said_addresses(const struct osr_ledger_links *links, const struct ledger_link *link,
                               char *const *addresses, size_t count, struct osr_ledger_member *who)
{
    bool allows_plaintext = links->options.config->insecure;
    const char *seen = osr_session_url(link->session);
    who->address_count = 0;
    for (size_t i = 0; i < count && i < OSR_LEDGER_ADDRESSES_MAX; i++) {
        struct osr_url url;
        if (osr_ledger_address_take(addresses[i], seen, allows_plaintext, &url)) {
            memcpy(who->addresses[who->address_count++], url.text, sizeof(url.text));
        }
    }
}

static void read_who(const struct osr_ledger_links *links, const struct ledger_link *link,
                     const Osr__Member *member, struct osr_ledger_member *who)
{
    snprintf(who->instance, sizeof(who->instance), "%s", osr_session_instance(link->session));
    snprintf(who->name, sizeof(who->name), "%s", osr_session_peer_name(link->session));
    osr_ledger_said_addresses(links, link, member->addresses, member->n_addresses, who);
    for (size_t i = 0; i < member->n_versions && i < OSR_MACHINES_MAX; i++) {
        uint32_t version = member->versions[i];
        who->versions[i] = (uint8_t)(version < UINT8_MAX ? version : UINT8_MAX);
    }
}

/* What the operator of the refused can do; the refuser tells why alone. */
static void hint_at_mending(struct osr_err *err)
{
    if (err->code == OSR_CONFLICT) {
        osr_err_hint(err, "take this member out with osiris cluster remove, at one that is well, "
                          "then start it once with --ledger rejoin");
    } else if (err->code == OSR_ALREADY_EXISTS) {
        osr_err_hint(err, "take that member out with osiris cluster remove, at one that is well; "
                          "then this instance is added again by itself");
    } else if (err->code == OSR_WRONG_CLUSTER) {
        osr_err_hint(err, "where it is to belong to theirs, start it once with --ledger rejoin");
    }
}

static void read_refusal(const Osr__Member *member, struct osr_err *err)
{
    bool is_code = member->refused > OSR__CODE__OK && (int)member->refused < OSR_CODE_COUNT;
    if (member->refused == OSR__CODE__OK) {
        return;
    }
    osr_err_set(err, is_code ? (enum osr_code)member->refused : OSR_INTERNAL, "%s", member->why);
    hint_at_mending(err);
}

int osr_ledger_said_read(const struct osr_ledger_links *links, const struct ledger_link *link,
                         const Osr__Member *member, struct osr_ledger_said *ret_said,
                         struct osr_err *err)
{
    if (!is_ledger_id(member->ledger)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "MEMBER: no ledger has such an id");
    }
    if ((member->ledger[0] == '\0') != (member->member == 0) ||
        (member->wants_in && member->ledger[0] != '\0')) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "MEMBER: a member has a ledger and an id, and waits for none");
    }
    struct osr_slice configuration =
        osr_slice(member->configuration.data, member->configuration.len);
    if (!is_configuration(configuration)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "MEMBER: these are no members");
    }
    *ret_said = (struct osr_ledger_said){
        .configuration = configuration,
        .member = member->member,
        .starts = member->starts,
        .term = member->term,
        .last_index = member->last_index,
        .wants_in = member->wants_in,
        .your_member = member->your_member,
    };
    snprintf(ret_said->ledger, sizeof(ret_said->ledger), "%s", member->ledger);
    read_refusal(member, &ret_said->refused);
    read_who(links, link, member, &ret_said->who);
    return 0;
}
