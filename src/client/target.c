#include "client/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapter/folder.h"

/* Not by way of osr_url_parse: a folder may have any character in its name, also '?'. */
static int url_of_folder(const char *folder, struct osr_url *ret_url, struct osr_err *err)
{
    struct osr_url url = {.scheme = "unix"};
    int size = snprintf(url.host, sizeof(url.host), "%s/%s", folder, OSR_SOCKET_NAME);
    if (size < 0 || (size_t)size >= sizeof(url.host)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "the data folder's path is too long: %s", folder);
        osr_err_hint(err, "use a shorter path, or a symbolic link to the long one");
        return OSR_INVALID_ARGUMENT;
    }
    snprintf(url.text, sizeof(url.text), "unix://%s", url.host);
    *ret_url = url;
    return OSR_OK;
}

int osr_target_folder(const char *folder, struct osr_target *ret_target, struct osr_err *err)
{
    struct osr_target target = {0};
    int code = OSR_OK;
    if (folder != NULL) {
        target.folder = osr_strdup(folder);
    } else {
        code = osr_folder_default(&target.folder, err);
    }
    if (code == OSR_OK) {
        code = url_of_folder(target.folder, &target.url, err);
    }
    if (code != OSR_OK) {
        osr_target_done(&target);
        return code;
    }
    *ret_target = target;
    return OSR_OK;
}

int osr_target_url(const char *url, struct osr_target *ret_target, struct osr_err *err)
{
    struct osr_target target = {0};
    int code = osr_url_parse(url, &target.url, err);
    if (code != OSR_OK) {
        return code;
    }
    if (!osr_url_is_stream(&target.url)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "%s:// is a way between instances",
                    target.url.scheme);
        osr_err_hint(err, "call an instance at tls://HOST:PORT, grpcs://HOST:PORT or by its data "
                          "folder; docs/clients.md says how to send requests through a broker");
        return OSR_INVALID_ARGUMENT;
    }
    *ret_target = target;
    return OSR_OK;
}

void osr_target_done(struct osr_target *target)
{
    free(target->folder);
    osr_client_trust_destroy(target->trust);
    *target = (struct osr_target){0};
}

bool osr_target_speaks_frames(const struct osr_url *url)
{
    return strcmp(url->scheme, "tcp") == 0 || strcmp(url->scheme, "tls") == 0 ||
           osr_url_parameter(url, "codec") != NULL;
}

void osr_target_explain(const struct osr_target *target, struct osr_err *err)
{
    if (err->code == OSR_UNAVAILABLE && target->folder != NULL) {
        osr_err_set(err, OSR_UNAVAILABLE, "osirisd is not running with the data folder %s",
                    target->folder);
        osr_err_hint(err, "start it with: osirisd --data %s", target->folder);
    }
}
