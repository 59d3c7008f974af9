/* Which members are dialled, and where: where they have said themselves that they are, where the
 * configuration says so, and where it does at other members. Those know of a move that has not come
 * here: the one that has moved may lead, and neither can dial the other. */
#include <stdio.h>

#include "node/ledger_addresses.h"
#include "node/ledger_links_internal.h"

_Static_assert((int)OSR_PEER_MEMBERS_MAX >= (int)OSR_RAFT_MEMBERS_MAX, "all can be dialled");
_Static_assert((int)OSR_PEER_ADDRESSES_MAX >= 3 * (int)OSR_LEDGER_ADDRESSES_MAX,
               "as heard, as agreed on, and as another member says");

static struct ledger_dialled *find(struct osr_ledger_links *links, const char *instance)
{
    for (size_t i = 0; i < links->dialled_count; i++) {
        if (strcmp(links->dialled[i].instance, instance) == 0) {
            return &links->dialled[i];
        }
    }
    return NULL;
}

/* ---- addresses ---- */

struct address_list {
    struct osr_url urls[OSR_PEER_ADDRESSES_MAX];
    size_t count;
};

static void add_addresses(struct address_list *list, const struct osr_ledger_member *who,
                          bool allows_plaintext)
{
    for (size_t i = 0; i < who->address_count && list->count < OSR_PEER_ADDRESSES_MAX; i++) {
        struct osr_url *url = &list->urls[list->count];
        bool is_new = osr_ledger_address_take(who->addresses[i], NULL, allows_plaintext, url);
        for (size_t j = 0; j < list->count; j++) {
            is_new = is_new && strcmp(list->urls[j].text, url->text) != 0;
        }
        list->count += is_new;
    }
}

static bool find_named(const struct osr_raft_configuration *configuration, const char *instance,
                       struct osr_ledger_member *ret_who)
{
    for (size_t i = 0; i < configuration->count; i++) {
        if (osr_ledger_member_decode(&configuration->members[i], ret_who, NULL) == 0 &&
            strcmp(ret_who->instance, instance) == 0) {
            return true;
        }
    }
    return false;
}

/* As members say who are not of one mind with this one, whose configuration is `own`. */
static void add_vouched(const struct osr_ledger_links *links, const char *instance,
                        struct osr_slice own, struct address_list *list)
{
    for (size_t i = 0; i < links->count; i++) {
        const struct ledger_link *link = links->links[i];
        struct osr_slice vouched = osr_buffer_slice(&link->vouched);
        struct osr_raft_configuration configuration;
        struct osr_ledger_member who;
        if (link->kind == LEDGER_MEMBER && !osr_slice_equal(vouched, own) &&
            osr_raft_configuration_decode(vouched, &configuration, NULL) == 0 &&
            find_named(&configuration, instance, &who)) {
            add_addresses(list, &who, links->options.config->insecure);
        }
    }
}

static void dial(struct osr_ledger_links *links, const struct ledger_dialled *dialled,
                 const struct osr_ledger_member *configured, struct osr_slice own)
{
    struct address_list list = {.count = 0};
    bool allows_plaintext = links->options.config->insecure;
    add_addresses(&list, &dialled->heard, allows_plaintext);
    add_addresses(&list, configured, allows_plaintext);
    add_vouched(links, dialled->instance, own, &list);
    if (list.count > 0) {
        osr_peers_add_member(links->options.peers, dialled->instance, list.urls, list.count);
    }
}

/* ---- members ---- */

static struct ledger_dialled *find_or_add(struct osr_ledger_links *links, const char *instance)
{
    struct ledger_dialled *dialled = find(links, instance);
    if (dialled == NULL) {
        dialled = &links->dialled[links->dialled_count++];
        *dialled = (struct ledger_dialled){0};
        snprintf(dialled->instance, sizeof(dialled->instance), "%s", instance);
    }
    return dialled;
}

static void remove_others(struct osr_ledger_links *links,
                          const struct osr_raft_configuration *configuration)
{
    for (size_t i = links->dialled_count; i > 0; i--) {
        struct ledger_dialled *dialled = &links->dialled[i - 1];
        struct osr_ledger_member who;
        if (!find_named(configuration, dialled->instance, &who)) {
            osr_peers_remove_member(links->options.peers, dialled->instance);
            *dialled = links->dialled[--links->dialled_count];
        }
    }
}

/* Who was just added knows nobody, and may be linked to another than the leader, who cannot dial
 * it: it goes by what a member says. */
static const struct osr_raft_configuration *whom_to_dial(const struct osr_ledger_links *links,
                                                         struct osr_raft_configuration *room)
{
    const struct osr_raft_configuration *own = osr_ledger_links_configuration(links);
    for (size_t i = 0; own->count == 0 && i < links->count; i++) {
        const struct ledger_link *link = links->links[i];
        if (link->kind == LEDGER_MEMBER &&
            osr_raft_configuration_decode(osr_buffer_slice(&link->vouched), room, NULL) == 0) {
            return room;
        }
    }
    return own;
}

void osr_ledger_dialled_set(struct osr_ledger_links *links)
{
    struct osr_raft_configuration room;
    struct osr_buffer own = {0};
    const struct osr_raft_configuration *configuration = whom_to_dial(links, &room);
    osr_raft_configuration_encode(configuration, &own);
    remove_others(links, configuration);
    for (size_t i = 0; i < configuration->count; i++) {
        struct osr_ledger_member who;
        /* Not the instance itself, though an older configuration may know it by another id. */
        if (osr_ledger_member_decode(&configuration->members[i], &who, NULL) == 0 &&
            strcmp(who.instance, links->options.instance) != 0) {
            dial(links, find_or_add(links, who.instance), &who, osr_buffer_slice(&own));
        }
    }
    osr_buffer_done(&own);
}

void osr_ledger_dialled_hear(struct osr_ledger_links *links, const struct osr_ledger_member *who)
{
    struct ledger_dialled *dialled = find(links, who->instance);
    if (dialled != NULL && who->address_count > 0) {
        dialled->heard = *who;
    }
}

static bool speaks_for_itself(const struct osr_ledger_links *links, const char *instance)
{
    for (size_t i = 0; i < links->count; i++) {
        const struct ledger_link *link = links->links[i];
        if (link->kind == LEDGER_MEMBER && strcmp(link->said.who.instance, instance) == 0) {
            return true;
        }
    }
    return false;
}

/* It is dialled there, no more: what is believed of it, it says itself once it is linked. */
void osr_ledger_dialled_told(struct osr_ledger_links *links, const struct ledger_link *link,
                             const Osr__LedgerAsk *told)
{
    struct osr_ledger_member who = {.instance = ""};
    if (speaks_for_itself(links, told->instance)) {
        return;
    }
    snprintf(who.instance, sizeof(who.instance), "%s", told->instance);
    osr_ledger_said_addresses(links, link, told->addresses, told->n_addresses, &who);
    osr_ledger_dialled_hear(links, &who);
    osr_ledger_dialled_set(links);
}
