#include "bin/login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

static char *config_folder(void)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (config != NULL && config[0] == '/') {
        return osr_strdup(config);
    }
    return home != NULL && home[0] == '/' ? osr_format("%s/.config", home) : NULL;
}

/* The URL with what may not stand in a file's name escaped. */
static char *name_of(const char *url)
{
    struct osr_buffer name = {0};

    for (const char *at = url; *at != '\0'; at++) {
        if (*at == '/' || *at == '%' || (unsigned char)*at < ' ') {
            osr_buffer_add_format(&name, "%%%02X", (unsigned char)*at);
        } else {
            osr_buffer_add(&name, at, 1);
        }
    }
    osr_buffer_add_u8(&name, '\0');
    return (char *)name.data;
}

/* NULL where there is no home. */
static char *path_of(const char *url)
{
    char *folder = config_folder();
    if (folder == NULL) {
        return NULL;
    }
    char *name = name_of(url);
    char *path = osr_format("%s/osiris/tokens/%s", folder, name);

    free(name);
    free(folder);
    return path;
}

char *osr_login_find(const char *url)
{
    char *path = path_of(url);
    if (path == NULL || access(path, F_OK) != 0) {
        free(path);
        return NULL;
    }
    return path;
}

/* Those above the file, for their owner alone. */
static int make_folders(const char *path)
{
    char *partial = osr_strdup(path);
    int result = 0;

    for (char *slash = strchr(partial + 1, '/'); slash != NULL && result == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST) {
            result = errno;
        }
        *slash = '/';
    }
    free(partial);
    return result;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    size_t size = strlen(text);
    int result = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return result;
}

int osr_login_store(const char *url, const char *token, char **ret_path, struct osr_err *err)
{
    char *path = path_of(url);
    if (path == NULL) {
        return osr_err_set(err, OSR_CONFIG, "HOME is not set: there is no place for the token");
    }
    char *temporary = osr_format("%s.new", path);
    int result = make_folders(path);

    unlink(temporary); /* left behind by a crash */
    if (result == 0) {
        result = write_file(temporary, token);
    }
    if (result == 0 && rename(temporary, path) != 0) {
        result = errno;
    }
    free(temporary);
    if (result != 0) {
        osr_err_errno(err, OSR_IO, result, "cannot write %s", path);
        free(path);
        return err != NULL ? err->code : OSR_IO;
    }
    *ret_path = path;
    return OSR_OK;
}
