/* Opening below a folder, with openat2(2) and without; the cache's limits. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/file.h"

#include "check.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int opener(const char *, const char *, struct stat *, int *);

static char folder[64], root[80];

static void run(const char *command) {
    char line[512];

    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    CHECK(system(line) == 0); /* NOLINT: a test */
}

static int try_open(opener *fn, const char *path) {
    struct stat st;
    int why = CT_OK, fd = fn(root, path, &st, &why);

    if (fd < 0) return why;
    CHECK(S_ISREG(st.st_mode));
    close(fd);
    return CT_OK;
}

static void test_open(opener *fn) {
    CHECK(try_open(fn, "a.txt") == CT_OK);
    CHECK(try_open(fn, "sub/b.txt") == CT_OK);
    CHECK(try_open(fn, "in") == CT_OK);
    CHECK(try_open(fn, "") == CT_FILE_FOLDER);
    CHECK(try_open(fn, "sub") == CT_FILE_FOLDER);
    CHECK(try_open(fn, "none") == CT_FILE_NONE);
    CHECK(try_open(fn, "a.txt/b") == CT_FILE_NONE);
    CHECK(try_open(fn, "out") == CT_FILE_DENIED);
    CHECK(try_open(fn, "sibling") == CT_FILE_DENIED);
    CHECK(try_open(fn, "absolute") == CT_FILE_DENIED);
    CHECK(try_open(fn, "loop") == CT_FILE_DENIED);
    CHECK(try_open(fn, "pipe") == CT_FILE_DENIED);
}

static ct_str str(const char *s) {
    return (ct_str){ s, (uint32_t)strlen(s) };
}

static void test_cache(void) {
    ct_files files;
    ct_file *f, *held;

    ct_files_init(&files);
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 1, false, &f) ==
          CT_OK);
    CHECK(f->size == 1 && f->bytes && *f->bytes == 'a' && files.open == 0);
    held = ct_file_take(f);
    run("echo bb > root/a.txt");
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 1000, false, &f) ==
              CT_OK &&
          f == held);
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 1001, false, &f) ==
              CT_OK &&
          f->size == 3 && f != held);
    CHECK(*held->bytes == 'a'); /* who had the old one has it still */
    ct_file_give(&files, held);
    held = f;
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 3000, false, &f) ==
              CT_OK &&
          f == held && f->checked == 3000);
    CHECK(ct_files_find(&files, str(root), str("big"), 1, false, &f) == CT_OK);
    CHECK(!f->bytes && f->size == 40000 && files.open == 1);
    CHECK(files.count == 2);
    /* What nobody asked for in a minute goes when something new comes. */
    CHECK(ct_files_find(&files, str(root), str("sub/b.txt"), 70000, false,
                        &f) == CT_OK);
    CHECK(files.count == 1 && files.open == 0);
    run("rm root/sub/b.txt");
    CHECK(ct_files_find(&files, str(root), str("sub/b.txt"), 70001, true, &f) ==
          CT_FILE_NONE);
    CHECK(files.count == 0);
    ct_files_fini(&files);
}

static void test_odd_paths(void) {
    static const char *const odd[] = { "/a.txt",  "sub/",     "sub//b.txt",
                                       "../x",    "sub/../a", ".git",
                                       "./a.txt", "sub/.b",   "a\\b",
                                       "sub/..",  "." };
    ct_files files;
    ct_file *f;

    ct_files_init(&files);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        CHECK(ct_files_find(&files, str(root), str(odd[i]), 1, false, &f) ==
              CT_FILE_ODD);
    CHECK(ct_files_find(&files, str(root), (ct_str){ "a\0b", 3 }, 1, false,
                        &f) == CT_FILE_ODD);
    ct_files_fini(&files);
}

static ct_file *find(ct_files *files, const char *name) {
    ct_file *f = NULL;

    CHECK(ct_files_find(files, str(root), str(name), 1, false, &f) == CT_OK);
    return f;
}

static void test_coded(void) {
    ct_files files;
    ct_file *a, *b, *coded, *again;
    char byte;

    ct_files_init(&files);
    a = find(&files, "one.txt");
    CHECK(ct_file_may_code(a) && !ct_file_may_code(find(&files, "big")));
    CHECK(!ct_file_may_code(find(&files, "a.txt")));
    coded = ct_file_code(&files, a, CT_CODING_GZIP);
    CHECK(coded && coded->size < a->size && coded->bytes[0] == '\x1f');
    CHECK(files.coded == coded->size);
    again = ct_file_code(&files, a, CT_CODING_GZIP);
    CHECK(again == coded);
    ct_file_give(&files, again);
    /* Room for one form: the file asked for longest ago loses its own. */
    files.coded_limit = files.coded + 1;
    b = find(&files, "two.txt");
    again = ct_file_code(&files, b, CT_CODING_GZIP);
    CHECK(again && !a->coded[0] && b->coded[0] == again);
    CHECK(files.coded == again->size);
    CHECK(coded->bytes[0] == '\x1f'); /* a reply may still have it */
    ct_file_give(&files, coded);
    ct_file_give(&files, again);
    ct_file_forget_coded(&files, b);
    CHECK(files.coded == 0 && !b->coded[0]);
    files.coded_limit = 0;
    coded = ct_file_code(&files, b, CT_CODING_BROTLI);
    CHECK(coded && !b->coded[1] && files.coded == 0);
    ct_file_give(&files, coded);
    CHECK(ct_file_read(a, &byte, 1, a->size - 1));
    CHECK(!ct_file_read(a, &byte, 1, a->size));
    ct_files_fini(&files);
}

int main(void) {
    snprintf(folder, sizeof folder, "/tmp/test_file.XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(root, sizeof root, "%s/root", folder);
    run("mkdir -p root/sub root2; printf a > root/a.txt; echo b > "
        "root/sub/b.txt; echo s > root2/s; ln -s a.txt root/in");
    run("ln -s ../root2/s root/out; ln -s ../root2 root/sibling; ln -s "
        "/etc/passwd root/absolute; ln -s loop root/loop; mkfifo root/pipe; "
        "head -c 40000 /dev/zero > root/big");
    run("head -c 40000 /dev/zero > root/one.txt; cp root/one.txt root/two.txt");
    test_open(ct_file_open);
    test_open(ct_file_open_compared);
    test_odd_paths();
    test_cache();
    test_coded();
    run("rm -r root root2");
    CHECK(rmdir(folder) == 0);
    return check_report();
}
