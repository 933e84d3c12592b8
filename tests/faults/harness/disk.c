/* Preloaded into a program under test: calls on files below a folder fail, or are written down, as a test orders.
 *
 * DISK_BELOW  the folder.
 * DISK_ORDER  a file with one line that is read at each call:
 *               full ERRNO                no file below grows and none is made; what is there can be overwritten
 *               fail KIND SUFFIX NTH ERRNO  from the NTH call of this KIND (write, sync) on paths with this SUFFIX on, counted
 *                                         since the line was written, each fails
 *             anything else: nothing fails.
 * DISK_LOG    a file that gets a record of each write, sync, truncation, renaming and deletion:
 *               KIND (1 byte), offset (8), length of the path (4), length of the data (4), path, data
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char known[256];
static long calls;

static int is_below(const char *path)
{
    const char *folder = getenv("DISK_BELOW");
    size_t size = folder ? strlen(folder) : 0;
    return size && !strncmp(path, folder, size) && path[size] == '/';
}

static int below(int fd, char *path)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(name, path, PATH_MAX - 1);
    if (size <= 0)
        return 0;
    path[size] = 0;
    return is_below(path);
}

static int read_order(char *line, size_t size)
{
    const char *name = getenv("DISK_ORDER");
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return 0;
    ssize_t got = syscall(SYS_read, fd, line, size - 1);
    syscall(SYS_close, fd);
    line[got > 0 ? got : 0] = 0;
    return got > 0;
}

/* The error that the order has for this call, or 0. */
static int ordered(const char *kind, const char *path)
{
    char line[256], wanted[16], suffix[128];
    long nth;
    int error = 0;
    if (!read_order(line, sizeof line))
        return 0;
    pthread_mutex_lock(&lock);
    if (strcmp(line, known)) {
        strcpy(known, line);
        calls = 0;
    }
    size_t size = strlen(path);
    if (sscanf(line, "fail %15s %127s %ld %d", wanted, suffix, &nth, &error) == 4) {
        size_t end = strlen(suffix);
        int ours = !strcmp(wanted, kind) && size >= end && !strcmp(path + size - end, suffix);
        if (!ours || ++calls < nth)
            error = 0;
    } else
        error = 0;
    pthread_mutex_unlock(&lock);
    return error;
}

static int full(void)
{
    char line[256];
    int error = 0;
    return read_order(line, sizeof line) && sscanf(line, "full %d", &error) == 1 ? error : 0;
}

static void note(char kind, const char *path, int64_t offset, const void *data, size_t size)
{
    const char *name = getenv("DISK_LOG");
    if (!name)
        return;
    pthread_mutex_lock(&lock);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uint32_t path_size = (uint32_t)strlen(path), data_size = (uint32_t)size;
    size_t whole = 17 + path_size + size;
    char *record = malloc(whole);
    if (fd >= 0 && record) {
        record[0] = kind;
        memcpy(record + 1, &offset, 8);
        memcpy(record + 9, &path_size, 4);
        memcpy(record + 13, &data_size, 4);
        memcpy(record + 17, path, path_size);
        if (size)
            memcpy(record + 17 + path_size, data, size);
        syscall(SYS_write, fd, record, whole);
    }
    free(record);
    if (fd >= 0)
        syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
}

static ssize_t put(int fd, const void *data, size_t size, int64_t at, int moves)
{
    char path[PATH_MAX];
    struct stat found;
    if (!below(fd, path) || fstat(fd, &found) || !S_ISREG(found.st_mode))
        return moves ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, at);
    int error = ordered("write", path);
    if (moves) {
        int flags = fcntl(fd, F_GETFL);
        at = flags & O_APPEND ? found.st_size : lseek(fd, 0, SEEK_CUR);
    }
    if (!error && at + (int64_t)size > found.st_size && (error = full()) && at < found.st_size) {
        size = (size_t)(found.st_size - at); /* a short write first, as on a disk that fills up */
        error = 0;
    }
    if (error) {
        errno = error;
        return -1;
    }
    ssize_t done = moves ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, at);
    if (done > 0)
        note('W', path, at, data, (size_t)done);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return put(fd, data, size, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return put(fd, data, size, at, 0); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return put(fd, data, size, at, 0); }

static int flush(int fd, long call)
{
    char path[PATH_MAX];
    if (!below(fd, path))
        return (int)syscall(call, fd);
    int error = ordered("sync", path);
    if (error) {
        errno = error;
        return -1;
    }
    int done = (int)syscall(call, fd);
    if (!done)
        note('S', path, 0, "", 0);
    return done;
}

int fsync(int fd) { return flush(fd, SYS_fsync); }
int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }

static int cut(int fd, off_t size)
{
    char path[PATH_MAX];
    struct stat found;
    int ours = below(fd, path);
    if (ours && !fstat(fd, &found) && size > found.st_size && (errno = full()))
        return -1;
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (ours && !done)
        note('T', path, size, "", 0);
    return done;
}

int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off_t size) { return cut(fd, size); }

/* A new name needs room too. */
static int no_room_for(const char *path)
{
    char whole[PATH_MAX];
    struct stat found;
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole) || strlen(whole) + strlen(path) + 2 > sizeof whole)
            return 0;
        strcat(strcat(whole, "/"), path);
        path = whole;
    }
    return is_below(path) && lstat(path, &found) && (errno = full());
}

static int make(int folder, const char *path, int flags, mode_t mode)
{
    if (flags & O_CREAT && (folder == AT_FDCWD || path[0] == '/') && no_room_for(path))
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT) { \
        va_list rest; \
        va_start(rest, last); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE(flags, flags) return make(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, flags) return make(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags, flags) return make(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags, flags) return make(folder, path, flags, mode); }

int mkdir(const char *path, mode_t mode)
{
    return no_room_for(path) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int rename(const char *from, const char *to)
{
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (!done && is_below(to))
        note('R', from, 0, to, strlen(to));
    return done;
}

int unlink(const char *path)
{
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!done && is_below(path))
        note('U', path, 0, "", 0);
    return done;
}
