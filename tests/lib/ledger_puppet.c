/* What puppets do. */
#include "lib/ledger_links_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct puppet *dial(struct links_rig *rig, const char *instance, Osr__LinkPurpose purpose)
{
    struct osr_url url;
    struct puppet *puppet = puppet_create(rig, instance);
    assert_int_equal(osr_url_parse(osr_listener_url(rig->listeners[0]), &url, NULL), 0);
    assert_int_equal(osr_sessions_dial(rig->their_sessions, &url, purpose, NULL, OSR_CODEC_PROTOBUF,
                                       puppet, &puppet->session, &rig->err),
                     0);
    return puppet;
}

struct puppet *puppet_link_for(struct links_rig *rig, const char *instance,
                               Osr__LinkPurpose purpose)
{
    struct puppet *puppet = dial(rig, instance, purpose);
    links_wait(rig, &puppet->members, 1);
    return puppet;
}

enum osr_code puppet_is_refused(struct links_rig *rig, const char *instance,
                                Osr__LinkPurpose purpose)
{
    struct puppet *puppet = dial(rig, instance, purpose);
    for (size_t turns = 0; puppet->session != NULL && turns < 10 * 1000; turns++) {
        links_settle(rig);
        uv_sleep(1);
    }
    assert_null(puppet->session);
    assert_int_equal(puppet->members, 0);
    return rig->err.code;
}

struct puppet *puppet_link(struct links_rig *rig, const char *instance)
{
    return puppet_link_for(rig, instance, OSR__LINK_PURPOSE__FOR_FEEDS);
}

void puppet_leave(struct puppet *puppet)
{
    osr_session_close(puppet->session);
    links_settle(puppet->rig);
    assert_null(puppet->session);
}

void puppet_say(struct puppet *puppet, Osr__Frame__BodyCase body, ProtobufCMessage *message)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    osr_frame_set_body(&frame, body, message);
    osr_session_send(puppet->session, &frame);
    links_settle(puppet->rig);
}

Osr__Member puppet_member(uint64_t id)
{
    Osr__Member member = OSR__MEMBER__INIT;
    member.ledger = (char *)LEDGER;
    member.member = id;
    member.starts = 1;
    member.term = 5;
    member.last_index = 100;
    return member;
}

void puppet_say_member(struct puppet *puppet, Osr__Member member)
{
    puppet_say(puppet, OSR__FRAME__BODY_MEMBER, &member.base);
}

struct puppet *puppet_join(struct links_rig *rig, const char *instance, uint64_t id)
{
    struct puppet *puppet = puppet_link(rig, instance);
    puppet_say_member(puppet, puppet_member(id));
    return puppet;
}

struct puppet *puppet_join_ledger(struct links_rig *rig, const char *instance, uint64_t id)
{
    struct puppet *puppet = puppet_link_for(rig, instance, OSR__LINK_PURPOSE__FOR_LEDGER);
    puppet_say_member(puppet, puppet_member(id));
    return puppet;
}

void puppet_say_raft(struct puppet *puppet, const char *ledger, uint64_t from, uint64_t to)
{
    Osr__Raft raft = OSR__RAFT__INIT;
    Osr__RaftReadRequest request = OSR__RAFT_READ_REQUEST__INIT;
    raft.ledger = (char *)ledger;
    raft.from = from;
    raft.to = to;
    raft.term = 5;
    raft.read_request = &request;
    puppet_say(puppet, OSR__FRAME__BODY_RAFT, &raft.base);
}

void puppet_wants_in(struct puppet *puppet)
{
    Osr__Member member = OSR__MEMBER__INIT;
    member.wants_in = true;
    puppet_say_member(puppet, member);
}
