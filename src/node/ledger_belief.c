/* Whether a link may be believed: what it says that it is, and what it says of this instance. */
#include "node/ledger_links_internal.h"

int osr_ledger_belief_check_vote(const struct osr_ledger_links *links,
                                 const struct ledger_link *link, struct osr_err *err)
{
    return osr_access_check(links->options.access, osr_session_identity(link->session),
                            OSR_ACTION_VOTE, osr_part(OSR_PART_INSTANCE, ""), "MEMBER", err);
}

static int refuse_other_ledger(struct osr_err *err)
{
    osr_err_set(err, OSR_WRONG_CLUSTER, "ledger: this instance belongs to another ledger");
    osr_err_hint(err, "to join this one, start it once with --ledger rejoin");
    return OSR_WRONG_CLUSTER;
}

struct osr_ledger_now osr_ledger_belief_now(const struct osr_ledger_links *links,
                                            const struct osr_ledger_standing *own)
{
    return (struct osr_ledger_now){
        .term = own->term, .newest_link = osr_sessions_last_number(links->options.sessions)};
}

static int check_claim(struct osr_ledger_links *links, const struct ledger_link *link,
                       const struct osr_ledger_standing *own, struct osr_err *err)
{
    const struct osr_ledger_claim claim = {
        .instance = link->said.who.instance,
        .link = link->number,
        .member = link->said.member,
        .starts = link->said.starts,
        .term = link->said.term,
        .last_index = link->said.last_index,
    };
    const struct osr_ledger_now now = osr_ledger_belief_now(links, own);
    int code = osr_ledger_belief_check_vote(links, link, err);
    return code != 0 ? code : osr_ledger_roll_take(links->roll, &claim, &now, err);
}

static int check_newcomer(const struct osr_ledger_links *links, const struct ledger_link *link,
                          struct osr_err *err)
{
    int code = osr_ledger_belief_check_vote(links, link, err);
    return code != 0 ? code
                     : osr_ledger_roll_check_newcomer(links->roll, link->said.who.instance, err);
}

enum ledger_link_kind osr_ledger_belief_judge(struct osr_ledger_links *links,
                                              const struct ledger_link *link,
                                              const struct osr_ledger_standing *own,
                                              struct osr_err *err)
{
    const struct osr_ledger_said *said = &link->said;
    if (!link->has_spoken || own->ledger[0] == '\0') {
        return LEDGER_BYSTANDER;
    }
    if (said->ledger[0] == '\0') {
        return said->wants_in && check_newcomer(links, link, err) == 0 ? LEDGER_APPLICANT
                                                                       : LEDGER_BYSTANDER;
    }
    if (strcmp(said->ledger, own->ledger) != 0) {
        refuse_other_ledger(err);
        return LEDGER_BYSTANDER;
    }
    return check_claim(links, link, own, err) == 0 ? LEDGER_MEMBER : LEDGER_BYSTANDER;
}

bool osr_ledger_belief_is_named(const struct osr_ledger_links *links,
                                const struct ledger_link *link,
                                const struct osr_ledger_standing *own)
{
    struct osr_err err;
    const char *instance = osr_ledger_roll_instance(links->roll, link->said.member);
    return strcmp(link->said.ledger, own->ledger) == 0 && instance != NULL &&
           strcmp(instance, link->said.who.instance) == 0 &&
           osr_ledger_belief_check_vote(links, link, &err) == 0;
}

bool osr_ledger_belief_takes_refusal(const struct osr_ledger_links *links,
                                     const struct ledger_link *link,
                                     const struct osr_ledger_standing *own)
{
    return own->ledger[0] == '\0' ? link->said.refused.code != OSR_CONFLICT
                                  : osr_ledger_belief_is_named(links, link, own);
}

const struct osr_ledger_member *osr_ledger_links_said(const struct osr_ledger_links *links,
                                                      uint64_t member, size_t place)
{
    for (size_t i = 0; i < links->count; i++) {
        const struct ledger_link *link = links->links[i];
        if (link->kind == LEDGER_MEMBER && link->said.member == member && place-- == 0) {
            return &link->said.who;
        }
    }
    return NULL;
}
