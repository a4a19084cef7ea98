/* replay: gives every file of the named folders to a fuzz target, so that `make check` replays the
 * corpora without a fuzzer. A target is one file tests/fuzz/NAME.c with LLVMFuzzerTestOneInput();
 * its corpus is the folder tests/fuzz/NAME. With a fuzzer: make fuzz. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name is libFuzzer's: https://llvm.org/docs/LibFuzzer.html#fuzz-target */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

/* The input stands in memory of exactly its size, so that a sanitizer sees a read past its end. */
static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(path);
        exit(1);
    }
    long count = ftell(file);
    rewind(file);
    uint8_t *data = malloc(count > 0 ? (size_t)count : 1);
    if (!data || fread(data, 1, (size_t)count, file) != (size_t)count) {
        perror(path);
        exit(1);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)count);
    free(data);
}

static unsigned replay_folder(const char *folder)
{
    unsigned replayed = 0;
    char path[4096];
    DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        replay_file(path);
        replayed++;
    }
    closedir(dir);
    return replayed;
}

int main(int argc, char **argv)
{
    unsigned replayed = 0;
    for (int i = 1; i < argc; i++)
        replayed += replay_folder(argv[i]);
    printf("%u inputs replayed\n", replayed);
    return replayed ? 0 : 1;
}
