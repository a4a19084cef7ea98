/* stowage_tree: keys in byte order, for lookups and listings: a treap of embedded nodes.
 *
 * O(log n) expected for everything. A node's key is a slice that its owner keeps in place while the
 * node is in the tree. Reference: Seidel and Aragon, "Randomized search trees", 1996. */
#ifndef TOOLS_STOWAGE_TREE_H
#define TOOLS_STOWAGE_TREE_H

#include "core/bytes.h"

struct stowage_tree_node {
    struct bytes key;
    /* private */
    struct stowage_tree_node *left, *right;
    uint64_t rank; /* a hash of the key: the heap's order, the same in every run */
};

struct stowage_tree {
    uint64_t count;
    /* private */
    struct stowage_tree_node *root;
};

void stowage_tree_init(struct stowage_tree *tree);
/* The key must not be in the tree yet. */
void stowage_tree_add(struct stowage_tree *tree, struct stowage_tree_node *node);
void stowage_tree_remove(struct stowage_tree *tree, struct stowage_tree_node *node);
struct stowage_tree_node *stowage_tree_find(const struct stowage_tree *tree, struct bytes key);

/* The first node whose key is ≥ `key`; whose key is > `key`; whose key is beyond all that start
 * with `prefix`. NULL when there is none. */
struct stowage_tree_node *stowage_tree_from(const struct stowage_tree *tree, struct bytes key);
struct stowage_tree_node *stowage_tree_after(const struct stowage_tree *tree, struct bytes key);
struct stowage_tree_node *stowage_tree_past(const struct stowage_tree *tree, struct bytes prefix);

#endif
