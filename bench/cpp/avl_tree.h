/*
 * \brief  Textbook AVL tree with parent pointers
 *
 * After Knuth, The Art of Computer Programming 3, section 6.2.3, in the form
 * that keeps heights in the nodes.
 */

/*
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef _AVL_TREE_H_
#define _AVL_TREE_H_

#include <stdint.h>

namespace Bench {

	template <typename> struct Avl_links;
	template <typename> class Avl_tree;
}


template <typename NODE>
struct Bench::Avl_links
{
	NODE   *child[2] { nullptr, nullptr };
	NODE   *parent   { nullptr };
	uint8_t height   { 1 };
};


/**
 * NODE derives from Avl_links<NODE> and has 'uint32_t key() const'
 */
template <typename NODE>
class Bench::Avl_tree
{
	private:

		NODE *_root = nullptr;

		static int _height(NODE const *node) { return node ? node->height : 0; }

		static int _balance(NODE const &node)
		{
			return _height(node.child[1]) - _height(node.child[0]);
		}

		static void _update(NODE &node)
		{
			int const left = _height(node.child[0]), right = _height(node.child[1]);
			node.height = uint8_t(1 + (left > right ? left : right));
		}

		/**
		 * Let 'parent', or the tree, refer to 'with' instead of 'node'
		 */
		void _replace(NODE *parent, NODE const *node, NODE *with)
		{
			if (parent)
				parent->child[parent->child[1] == node] = with;
			else
				_root = with;
			if (with)
				with->parent = parent;
		}

		/**
		 * Rotate the child on 'side' above 'node'
		 */
		NODE &_rotate(NODE &node, int side)
		{
			NODE &up = *node.child[side];
			NODE * const between = up.child[!side];
			_replace(node.parent, &node, &up);
			node.child[side] = between;
			if (between)
				between->parent = &node;
			up.child[!side] = &node;
			node.parent = &up;
			_update(node);
			_update(up);
			return up;
		}

		void _rebalance(NODE *node)
		{
			for (; node; node = node->parent) {
				int const before = node->height;
				_update(*node);
				int const balance = _balance(*node);
				if (balance > 1 || balance < -1) {
					int const side = balance > 1;
					int const inner = _balance(*node->child[side]);
					if (side ? inner < 0 : inner > 0)
						_rotate(*node->child[side], !side);
					node = &_rotate(*node, side);
				}
				else if (node->height == before)
					return;
			}
		}

	public:

		NODE *first() const { return _root; }

		NODE *find(uint32_t key) const
		{
			NODE *node = _root;
			while (node) {
				uint32_t const found = node->key();
				if (found == key)
					break;
				node = node->child[found < key];
			}
			return node;
		}

		void insert(NODE &node)
		{
			uint32_t const key = node.key();
			NODE *parent = nullptr;
			int side = 0;
			for (NODE *at = _root; at; at = at->child[side]) {
				parent = at;
				side   = at->key() < key;
			}
			node.child[0] = node.child[1] = nullptr;
			node.parent   = parent;
			node.height   = 1;
			if (parent)
				parent->child[side] = &node;
			else
				_root = &node;
			_rebalance(parent);
		}

		void remove(NODE &node)
		{
			NODE *from = node.parent;
			if (node.child[0] && node.child[1]) {
				NODE *next = node.child[1];
				while (next->child[0])
					next = next->child[0];
				from = (next->parent == &node) ? next : next->parent;
				_replace(next->parent, next, next->child[1]);
				next->child[0] = node.child[0];
				next->child[1] = node.child[1];
				next->height   = node.height;
				next->child[0]->parent = next;
				if (next->child[1])
					next->child[1]->parent = next;
				_replace(node.parent, &node, next);
			}
			else
				_replace(from, &node, node.child[node.child[0] == nullptr]);
			_rebalance(from);
		}
};

#endif /* _AVL_TREE_H_ */
