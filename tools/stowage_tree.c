#include "tools/stowage_tree.h"

#include <string.h>

#include "core/check.h"

/* FNV-1a with a final mix (splitmix64's), so that keys that differ in their last byte only do not
 * get neighbouring ranks. */
static uint64_t rank_of(struct bytes key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.count; i++)
        hash = (hash ^ (uint8_t)key.data[i]) * 0x100000001b3u;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
    return hash ^ (hash >> 31);
}

void stowage_tree_init(struct stowage_tree *tree)
{
    tree->root = NULL;
    tree->count = 0;
}

/* Cuts a tree into what is below `key` and what is above it. */
static void split(struct stowage_tree_node *node, struct bytes key,
                  struct stowage_tree_node **below, struct stowage_tree_node **above)
{
    while (node) {
        if (bytes_compare(node->key, key) < 0) {
            *below = node;
            below = &node->right;
            node = node->right;
        } else {
            *above = node;
            above = &node->left;
            node = node->left;
        }
    }
    *below = NULL;
    *above = NULL;
}

static struct stowage_tree_node *merge(struct stowage_tree_node *low,
                                       struct stowage_tree_node *high)
{
    struct stowage_tree_node *root = NULL, **place = &root;
    while (low && high) {
        if (low->rank > high->rank) {
            *place = low;
            place = &low->right;
            low = low->right;
        } else {
            *place = high;
            place = &high->left;
            high = high->left;
        }
    }
    *place = low ? low : high;
    return root;
}

void stowage_tree_add(struct stowage_tree *tree, struct stowage_tree_node *node)
{
    CHECK_SLOW(!stowage_tree_find(tree, node->key));
    node->rank = rank_of(node->key);
    struct stowage_tree_node **place = &tree->root;
    while (*place && (*place)->rank >= node->rank)
        place = bytes_compare(node->key, (*place)->key) < 0 ? &(*place)->left : &(*place)->right;
    split(*place, node->key, &node->left, &node->right);
    *place = node;
    tree->count++;
}

void stowage_tree_remove(struct stowage_tree *tree, struct stowage_tree_node *node)
{
    struct stowage_tree_node **place = &tree->root;
    while (*place != node) {
        CHECK(*place && "only what is in the tree can be removed");
        place = bytes_compare(node->key, (*place)->key) < 0 ? &(*place)->left : &(*place)->right;
    }
    *place = merge(node->left, node->right);
    tree->count--;
}

struct stowage_tree_node *stowage_tree_find(const struct stowage_tree *tree, struct bytes key)
{
    struct stowage_tree_node *node = stowage_tree_from(tree, key);
    return node && bytes_equal(node->key, key) ? node : NULL;
}

struct stowage_tree_node *stowage_tree_from(const struct stowage_tree *tree, struct bytes key)
{
    struct stowage_tree_node *node = tree->root, *best = NULL;
    while (node) {
        if (bytes_compare(node->key, key) >= 0) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

struct stowage_tree_node *stowage_tree_after(const struct stowage_tree *tree, struct bytes key)
{
    struct stowage_tree_node *node = tree->root, *best = NULL;
    while (node) {
        if (bytes_compare(node->key, key) > 0) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

struct stowage_tree_node *stowage_tree_past(const struct stowage_tree *tree, struct bytes prefix)
{
    struct stowage_tree_node *node = tree->root, *best = NULL;
    while (node) {
        if (bytes_compare(node->key, prefix) > 0 && !bytes_start_with(node->key, prefix)) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}
