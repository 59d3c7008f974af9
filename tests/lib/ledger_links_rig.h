/* ledger_links_rig.h -- the links of a ledger's member (node/ledger_links.h), over real connections
 * of this machine in one loop, and puppets that say as other instances what a test says. */
#ifndef OSR_TESTS_LEDGER_LINKS_RIG_H
#define OSR_TESTS_LEDGER_LINKS_RIG_H

#include "lib/journal_fixture.h"
#include "node/ledger.h"
#include "node/session.h"

#define OWN          "ownownownownownownownownownownow"
#define ANA          "anaanaanaanaanaanaanaanaanaanaan"
#define BEN          "benbenbenbenbenbenbenbenbenbenbe"
#define MUTE         "mutemutemutemutemutemutemutemute" /* may link, and not vote */
#define LEDGER       "aaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_LEDGER "bbbbbbbbbbbbbbbbbbbbbbbbba"

enum { ANSWERS_TO_MAX = 64 };
enum { PUPPETS_MAX = 6, OWN_ID = 1, ANA_ID = 2, BEN_ID = 3 };

/* Another instance. */
struct puppet {
    struct links_rig *rig;
    const char *instance;
    struct osr_session *session; /* with the side under test; NULL: none */
    size_t members;              /* MEMBERs that came, and the last one */
    uint64_t member;
    uint64_t your_member;
    enum osr_code refused;
    char why[256];
    char address[OSR_URL_TEXT_MAX]; /* the first one told */
    size_t address_count;
    size_t configuration_size;
    size_t rafts;
    uint64_t raft_term; /* of the last */
    size_t asks;
    uint64_t asked; /* number of the last */
    size_t answers;
    enum osr_code answers_to[ANSWERS_TO_MAX]; /* by the number of what was asked */
};

struct links_rig {
    struct journal_fixture *journal;
    uv_loop_t *loop;
    struct osr_trace trace;
    struct osr_config config;
    struct osr_err err;

    /* The side under test. */
    struct osr_access *access;
    struct osr_sessions *sessions;
    struct osr_peers *peers;
    struct osr_listener *listeners[2];
    size_t listener_count;
    struct osr_ledger_links *links;
    struct osr_ledger *ledger; /* the links' owner; NULL: it is this rig */
    struct osr_ledger_standing own;
    struct osr_raft_configuration configuration;
    uint64_t acknowledged;

    /* What it told its owner. */
    size_t messages;
    struct osr_raft_message message;
    size_t asks, answers, applicants, welcomes, refusals;
    uint64_t asked_by;
    uint64_t reachable, unreachable; /* the last */
    size_t reached, lost;
    char applicant[OSR_NAME_BYTES_MAX + 1];
    uint32_t applicant_link;
    uint64_t welcome;
    enum osr_code refusal;

    /* The puppets. */
    struct osr_access *their_access;
    struct osr_sessions *their_sessions;
    struct osr_listener *their_listener;
    const char *their_listening; /* the instance that is dialled there */
    struct puppet puppets[PUPPETS_MAX];
    size_t puppet_count;
};

/* For cmocka: a member of LEDGER, OWN_ID, with two others, ANA_ID and BEN_ID, of which nobody is
 * linked yet. */
int links_set_up(void **state);
int links_tear_down(void **state);
void links_open(struct links_rig *rig); /* again, after osr_ledger_links_destroy */
struct osr_ledger_links_options links_options(struct links_rig *rig);
/* All may link; all but MUTE may vote, where anybody may. */
struct osr_policy *links_policy(bool may_vote);
/* In the configuration; address NULL: it has none. */
void links_set_member(struct links_rig *rig, size_t place, uint64_t id, const char *instance,
                      const char *address);

void links_end_turn(struct links_rig *rig);
/* All that was said is heard, and answered. */
void links_settle(struct links_rig *rig);
/* Until there are so many; the test fails where there are more, or not within 10 s. */
void links_wait(struct links_rig *rig, const size_t *count, size_t wanted);
/* An ELECT_NOW in term 7; true: it was sent. */
bool links_send(struct links_rig *rig, uint64_t member);

/* ---- ledger_puppet.c ---- */

/* Without a link. */
struct puppet *puppet_create(struct links_rig *rig, const char *instance);
/* A puppet with this id has linked to the side under test, for feeds. */
struct puppet *puppet_link(struct links_rig *rig, const char *instance);
struct puppet *puppet_link_for(struct links_rig *rig, const char *instance,
                               Osr__LinkPurpose purpose);
/* Tries to link, and is shown out: why. */
enum osr_code puppet_is_refused(struct links_rig *rig, const char *instance,
                                Osr__LinkPurpose purpose);
void puppet_leave(struct puppet *puppet);
void puppet_say(struct puppet *puppet, Osr__Frame__BodyCase body, ProtobufCMessage *message);
/* What a member of LEDGER with this id says: 1 start, term 5, 100 entries. */
Osr__Member puppet_member(uint64_t id);
void puppet_say_member(struct puppet *puppet, Osr__Member member);
/* Links for feeds, or for the ledger, and says that it is this member. */
struct puppet *puppet_join(struct links_rig *rig, const char *instance, uint64_t id);
struct puppet *puppet_join_ledger(struct links_rig *rig, const char *instance, uint64_t id);
void puppet_say_raft(struct puppet *puppet, const char *ledger, uint64_t from, uint64_t to);
void puppet_wants_in(struct puppet *puppet);

#endif
