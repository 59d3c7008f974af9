#include "node/setup_doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "adapter/keys.h"
#include "base/text.h"
#include "model/speakable.h"
#include "node/listener_methods.h"
#include "node/security_contexts.h"
#include "node/setup_finding.h"
#include "node/trust_folder.h"

enum { DAY_S = 24 * 60 * 60 };

struct doctor {
    const struct osr_config *config;
    uint64_t now_s;
    struct osr_buffer *lines;
    char instance[OSR_INSTANCE_CHARS + 1]; /* "" until the identity was read */
};

/* An error of a part, with its own hint on what to do. */
static void add_failure(struct doctor *doctor, const char *check, const struct osr_err *err)
{
    osr_setup_finding(doctor->lines, OSR_FINDING_ERROR, check, err->hint, "%s", err->message);
}

/* -- identity -- */

/* One that is lost while its log is there comes back from a backup or not at all: another identity
 * could not write the old one's feed. */
static void add_no_identity(struct doctor *doctor)
{
    const char *data = doctor->config->data;
    char *log = osr_format("%s/log", data);
    char *mend = access(log, F_OK) == 0 ? osr_format("put identity.key of a backup into %s", data)
                                        : osr_format("osiris init --data %s", data);
    osr_setup_finding(doctor->lines, OSR_FINDING_ERROR, "identity", mend, "%s has no identity%s",
                      data, access(log, F_OK) == 0 ? ", and had one" : " yet");
    free(mend);
    free(log);
}

static void check_identity(struct doctor *doctor)
{
    char *path = osr_format("%s/identity.key", doctor->config->data);
    struct osr_keys *keys = NULL;
    struct osr_err err;

    if (access(path, F_OK) != 0) { /* opening it would make one */
        add_no_identity(doctor);
    } else if (osr_keys_open(doctor->config->data, &keys, &err) != 0) {
        add_failure(doctor, "identity", &err);
    } else {
        char speakable[OSR_SPEAKABLE_CHARS + 1];
        osr_instance_id(doctor->instance, osr_keys_public(keys));
        osr_speakable_write(speakable, doctor->instance);
        osr_setup_finding(doctor->lines, OSR_FINDING_OK, "identity", "", "%s (%s)", speakable,
                          doctor->instance);
    }
    osr_keys_close(keys);
    free(path);
}

/* -- files -- */

/* What is open to others below the folder: all of one kind is one finding. */
struct open_files {
    unsigned count;
    char first[OSR_CONFIG_PATH_BYTES_MAX + 300];
};

static bool is_open(const struct stat *file)
{
    return !S_ISLNK(file->st_mode) && !S_ISSOCK(file->st_mode) &&
           ((file->st_mode & 077) != 0 || file->st_uid != geteuid());
}

/* One folder being walked through. */
struct walk {
    const char *folder;
    unsigned depth; /* how far down it still goes */
    struct open_files *found;
};

static void look_at_folder(const struct walk *walk);

static void look_at_file(void *context, const char *name)
{
    const struct walk *walk = context;
    char *path = osr_format("%s/%s", walk->folder, name);
    struct stat file;

    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && lstat(path, &file) == 0) {
        if (is_open(&file) && walk->found->count++ == 0) {
            snprintf(walk->found->first, sizeof(walk->found->first), "%s", path);
        }
        if (S_ISDIR(file.st_mode) && walk->depth > 0) {
            look_at_folder(&(struct walk){path, walk->depth - 1, walk->found});
        }
    }
    free(path);
}

static void look_at_folder(const struct walk *walk)
{
    struct osr_disk *disk = osr_disk_system();
    disk->ops->list(disk, walk->folder, look_at_file, (void *)walk, NULL);
}

/* What is another user's is that one's to look at: to make it one's own, root's above all, would
 * take it away from the osirisd that runs there. False: it is. */
static bool check_owner(struct doctor *doctor, const struct stat *folder)
{
    const char *data = doctor->config->data;
    struct passwd entry, *owner = NULL;
    char room[4096]; /* one that does not fit is named by its number */

    if (folder->st_uid == geteuid()) {
        return true;
    }
    bool is_named = getpwuid_r(folder->st_uid, &entry, room, sizeof(room), &owner) == 0;
    char *name =
        is_named && owner != NULL ? osr_strdup(owner->pw_name) : osr_format("#%u", folder->st_uid);
    char *mend = osr_format("sudo -u '%s' osiris doctor --data %s", name, data);
    osr_setup_finding(doctor->lines, OSR_FINDING_ERROR, "files", mend,
                      "%s belongs to the user %s, who alone can look at what is in it", data, name);
    free(mend);
    free(name);
    return false;
}

static void check_files(struct doctor *doctor)
{
    enum { DEPTH_MAX = 4 }; /* ours has two: stops a loop of mounts */
    const char *data = doctor->config->data;
    struct open_files found = {0};
    struct stat folder;

    if (stat(data, &folder) != 0) {
        char *mend = osr_format("osiris init --data %s", data);
        osr_setup_finding(doctor->lines, OSR_FINDING_ERROR, "files", mend,
                          "there is no data folder %s", data);
        free(mend);
        return;
    }
    if (is_open(&folder)) {
        found.count++;
        snprintf(found.first, sizeof(found.first), "%s", data);
    }
    look_at_folder(&(struct walk){data, DEPTH_MAX, &found});
    if (found.count == 0) {
        osr_setup_finding(doctor->lines, OSR_FINDING_OK, "files", "", "%s is its owner's alone",
                          data);
        return;
    }
    char *mend = osr_format("chown -R %u %s && chmod -R go= %s", geteuid(), data, data);
    osr_setup_finding(doctor->lines, OSR_FINDING_ERROR, "files", mend,
                      "%u files or folders are open to other users, or another user's: %s",
                      found.count, found.first);
    free(mend);
}

/* -- certificates -- */

/* Whether it is good now, and for how long. `late_s`: from then on something should have been done
 * about its end; `mend` does it. */
static void check_certificate(struct doctor *doctor, const struct osr_certificate_facts *facts,
                              const char *check, uint64_t late_s, const char *mend)
{
    char begins[OSR_TIME_CHARS + 1], expires[OSR_TIME_CHARS + 1];
    enum osr_finding_level level = OSR_FINDING_OK;
    const char *state = "good until";

    osr_time_write(begins, facts->begins_s);
    osr_time_write(expires, facts->expires_s);
    if (facts->begins_s > doctor->now_s) {
        osr_setup_finding(doctor->lines, OSR_FINDING_ERROR, check, "timedatectl set-ntp true",
                          "\"%s\" is good from %s only: this machine's clock is behind",
                          facts->subject, begins);
        return;
    }
    if (facts->expires_s <= doctor->now_s) {
        level = OSR_FINDING_ERROR;
        state = "expired";
    } else if (late_s <= doctor->now_s) {
        level = OSR_FINDING_WARNING;
        state = "soon expires:";
    }
    osr_setup_finding(doctor->lines, level, check, level == OSR_FINDING_OK ? "" : mend,
                      "\"%s\" %s %s", facts->subject, state, expires);
}

static const char *renewing_command(const struct osr_trust *trust,
                                    const struct osr_certificate_facts *facts)
{
    if (facts->cluster[0] == '\0') {
        return "ask the CA that issued it for a new one, put it at trust/tls.crt; osiris reload";
    }
    return osr_trust_has(trust, OSR_TRUST_CA_KEY)
               ? "osiris renew"
               : "see that the CA's instance can be reached, then: osiris renew; after its end: "
                 "osiris invite there, and osiris join here";
}

/* One that should have renewed itself long ago does not. */
static void check_own_certificate(struct doctor *doctor, const struct osr_trust *trust)
{
    struct osr_certificate_facts facts;
    struct osr_err err;

    if (!osr_trust_has(trust, OSR_TRUST_TLS_CERTIFICATE)) {
        osr_setup_finding(doctor->lines, OSR_FINDING_WARNING, "certificate",
                          "osiris ca init; or, with osirisd stopped, osiris join INVITATION",
                          "there is none: links are by pinned ids or shared keys, or in plaintext");
        return;
    }
    if (osr_certificate_read(osr_trust_text(trust, OSR_TRUST_TLS_CERTIFICATE), &facts, &err) != 0) {
        add_failure(doctor, "certificate", &err);
        return;
    }
    uint64_t renew_at_s = osr_certificate_renew_at_s(&facts);
    uint64_t late_s = renew_at_s + (facts.expires_s - renew_at_s) / 2;
    check_certificate(doctor, &facts, "certificate", late_s, renewing_command(trust, &facts));
}

static void check_authorities(struct doctor *doctor, const struct osr_trust *trust)
{
    enum { LATE_DAYS = 180 };
    struct osr_slice rest = osr_trust_text(trust, OSR_TRUST_AUTHORITIES);
    struct osr_slice pem;
    struct osr_certificate_facts facts;

    while (osr_certificate_next(&rest, &pem)) {
        if (osr_certificate_read(pem, &facts, NULL) == 0) {
            check_certificate(doctor, &facts, "authority",
                              facts.expires_s - (uint64_t)LATE_DAYS * DAY_S,
                              "osiris ca rotate begin, where the CA is");
        }
    }
}

/* Whether it serves this instance and its addresses: osirisd does not start where it does not. */
static void check_serves(struct doctor *doctor, const struct osr_trust *trust)
{
    const struct osr_security_source source = {
        .config = doctor->config,
        .trust = trust,
        .has_approved = doctor->config->approved_count > 0,
        .instance = doctor->instance,
        .now_s = doctor->now_s,
    };
    struct osr_security_contexts *contexts = NULL;
    struct osr_err err;

    if (doctor->instance[0] == '\0' || !osr_trust_has(trust, OSR_TRUST_TLS_KEY)) {
        return; /* said already, or made at the start */
    }
    if (osr_security_contexts_create(&source, &contexts, &err) != 0) {
        add_failure(doctor, "certificate", &err);
    }
    osr_security_contexts_destroy(contexts);
}

static void check_trust(struct doctor *doctor)
{
    char *path = osr_format("%s/trust", doctor->config->data);
    bool is_there = access(path, F_OK) == 0; /* loading would make it */
    struct osr_trust_folder *folder =
        osr_trust_folder_open(osr_disk_system(), doctor->config->data);
    struct osr_trust *trust = NULL;
    struct osr_err err;

    if (!is_there) {
        osr_setup_finding(doctor->lines, OSR_FINDING_WARNING, "certificate",
                          "osiris init, or osiris join INVITATION", "there is none: %s is missing",
                          path);
    } else if (osr_trust_folder_load(folder, &trust, &err) != 0) {
        add_failure(doctor, "certificate", &err);
    } else {
        check_own_certificate(doctor, trust);
        check_authorities(doctor, trust);
        check_serves(doctor, trust);
    }
    osr_trust_destroy(trust);
    osr_trust_folder_close(folder);
    free(path);
}

/* -- listeners -- */

/* Whom it lets in, for whoever did not mean to. */
static void add_open_listener(struct doctor *doctor, const struct osr_url *url)
{
    struct osr_buffer methods = {0};

    osr_methods_write(osr_methods_of(url), &methods);
    osr_setup_finding(doctor->lines, OSR_FINDING_OK, "listener", "",
                      "%s: open to the network, by TLS, to %.*s", url->text, (int)methods.size,
                      (const char *)methods.data);
    osr_buffer_done(&methods);
}

/* Wherever the broker stands: links through it are encrypted from end to end, and requests of its
 * clients it reads. */
static void add_message_listener(struct doctor *doctor, const struct osr_url *url)
{
    const char *whom = "instances, encrypted all the way through the broker";
    if (osr_url_is_for_clients(url)) {
        whom = osr_url_is_broker(url) ? "whom the broker lets write there; it sees what they say"
                                      : "clients whose keys are known, encrypted";
    }
    osr_setup_finding(doctor->lines, OSR_FINDING_OK, "listener", "", "%s: for %s", url->text, whom);
}

static void check_listeners(struct doctor *doctor)
{
    const struct osr_config *config = doctor->config;

    for (size_t i = 0; i < config->listen_count; i++) {
        const struct osr_url *url = &config->listen[i];
        if (osr_url_is_broker(url) || osr_url_is_for_clients(url)) {
            add_message_listener(doctor, url);
            continue;
        }
        if (osr_url_is_loopback(url)) {
            osr_setup_finding(doctor->lines, OSR_FINDING_OK, "listener", "",
                              "%s: for this machine alone", url->text);
            continue;
        }
        if (osr_url_is_secure(url)) {
            add_open_listener(doctor, url);
            continue;
        }
        char *mend = osr_format("listen at tls://%s:%u instead, and take `insecure` out of the "
                                "config",
                                url->host, url->port);
        osr_setup_finding(doctor->lines, OSR_FINDING_WARNING, "listener", mend,
                          "%s: whoever reaches it can read and write, unencrypted", url->text);
        free(mend);
    }
}

/* -- clock -- */

static void check_clock(struct doctor *doctor)
{
    struct timex state = {0};

    if (adjtimex(&state) == TIME_ERROR) {
        osr_setup_finding(doctor->lines, OSR_FINDING_WARNING, "clock", "timedatectl set-ntp true",
                          "the system does not keep its clock in step with others; certificates "
                          "and the order of versions hang on it");
        return;
    }
    osr_setup_finding(doctor->lines, OSR_FINDING_OK, "clock", "", "kept in step by the system");
}

/* -- disk -- */

static void check_room(struct doctor *doctor)
{
    struct statvfs disk;

    if (statvfs(doctor->config->data, &disk) != 0) {
        return; /* said of the files already */
    }
    uint64_t free_mb = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
    uint64_t needed_mb = 2ull * doctor->config->log_segment_mb;
    enum osr_finding_level level = free_mb < needed_mb       ? OSR_FINDING_ERROR
                                   : free_mb < 8 * needed_mb ? OSR_FINDING_WARNING
                                                             : OSR_FINDING_OK;
    char *mend = osr_format("make room on the disk of %s", doctor->config->data);
    osr_setup_finding(doctor->lines, level, "room", level == OSR_FINDING_OK ? "" : mend,
                      "%" PRIu64 " MiB are free", free_mb);
    free(mend);
}

/* Each write waits for one of these: microseconds of the slowest of a few; 0 where it fails. */
static uint64_t measure_sync_us(const char *path)
{
    enum { TRIES = 8, PIECE = 4096 };
    static const char piece[PIECE];
    uint64_t slowest_us = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    for (int i = 0; fd >= 0 && i < TRIES; i++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        if (pwrite(fd, piece, PIECE, (off_t)i * PIECE) != PIECE || fdatasync(fd) != 0) {
            slowest_us = 0;
            break;
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        uint64_t took_us = (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000 +
                           (uint64_t)(end.tv_nsec / 1000) - (uint64_t)(begin.tv_nsec / 1000);
        slowest_us = took_us > slowest_us ? took_us : slowest_us;
    }
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return slowest_us;
}

static void check_sync(struct doctor *doctor)
{
    enum { SLOW_US = 100000 };
    char *path = osr_format("%s/doctor.tmp", doctor->config->data);

    unlink(path); /* left behind by one that was killed */
    uint64_t took_us = measure_sync_us(path);
    if (took_us == 0) {
        osr_setup_finding(doctor->lines, OSR_FINDING_ERROR, "fsync",
                          "see that the disk can be written to", "cannot write and sync %s: %s",
                          path, strerror(errno));
    } else {
        bool is_slow = took_us > SLOW_US;
        osr_setup_finding(doctor->lines, is_slow ? OSR_FINDING_WARNING : OSR_FINDING_OK, "fsync",
                          is_slow ? "put the data folder on a faster disk" : "",
                          "%.1f ms for a write to reach the disk", (double)took_us / 1000);
    }
    free(path);
}

void osr_setup_doctor(const struct osr_config *config, uint64_t now_s, struct osr_buffer *lines)
{
    struct doctor doctor = {.config = config, .now_s = now_s, .lines = lines};
    struct stat folder;
    bool is_there = stat(config->data, &folder) == 0;

    if (is_there && !check_owner(&doctor, &folder)) {
        return;
    }
    check_files(&doctor);
    if (!is_there) {
        return;
    }
    check_identity(&doctor);
    check_trust(&doctor);
    check_listeners(&doctor);
    check_clock(&doctor);
    check_room(&doctor);
    check_sync(&doctor);
}
