/*
 * \brief  Records of the IPC gates of a monitored component
 * \date   2026-11-28
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include <cap_space_monitor/gates.h>

using namespace Cap_space_monitor;


void Gates::_link(Gate &gate)
{
	Gate *&bucket = _bucket(unsigned(gate.cap.local_name()));

	gate._next = bucket;
	bucket     = &gate;
}


void Gates::_unlink(Gate &gate)
{
	Gate **next_ptr = &_bucket(unsigned(gate.cap.local_name()));

	while (*next_ptr != &gate)
		next_ptr = &(*next_ptr)->_next;

	*next_ptr = gate._next;
}


Gates::Block_result Gates::_alloc_block()
{
	Payer::Charge_result const charged = _payer.charge_block();

	if (charged.failed())
		return charged.convert<Alloc_error>(
			[&] (Ok)            { return Alloc_error::DENIED; },
			[&] (Alloc_error e) { return e; });

	/*
	 * The component paid for the block. So the monitor must be at the end of
	 * its resources whenever the allocation fails, which the component cannot
	 * alter by a donation.
	 */
	Block * const block = _ram.try_alloc(PAGE).convert<Block *>(
		[&] (Ram::Allocation &ram) {

			Env::Local_rm::Attach_attr attr { };
			attr.writeable = true;

			return _local_rm.attach(ram.cap, attr).convert<Block *>(
				[&] (Env::Local_rm::Attachment &attachment) {
					attachment.deallocate = false;
					ram       .deallocate = false;
					return construct_at<Block>(attachment.ptr, ram.cap); },
				[&] (Env::Local_rm::Error) { return (Block *)nullptr; }); },
		[&] (Alloc_error) { return (Block *)nullptr; });

	if (!block) {
		_payer.refund_block();
		return Alloc_error::DENIED;
	}

	_blocks.insert(block);
	return block;
}


void Gates::_free_block(Block &block)
{
	_blocks.remove(&block);

	Ram::Capability const ds = block.ds;

	block.~Block();

	{
		Env::Local_rm::Attachment { _local_rm, { &block, PAGE } };
		Ram::Allocation           { _ram,      { ds,     PAGE } };
	}

	_payer.refund_block();
}


bool Gates::_other_empty_block(Block const &block) const
{
	for (Block const *other = _blocks.first(); other; other = other->next())
		if (other != &block && !other->used)
			return true;

	return false;
}


Gates::Block_result Gates::_block_with_space()
{
	/* as the number of gates is bounded, so is the number of blocks */
	for (Block *block = _blocks.first(); block; block = block->next())
		if (block->used < Block::NUM)
			return block;

	return _alloc_block();
}


Gates::Payer::Charge_result Gates::reserve()
{
	if (_count >= MAX)
		return Alloc_error::DENIED;

	return _block_with_space().convert<Payer::Charge_result>(
		[&] (Block *)       { return Ok(); },
		[&] (Alloc_error e) { return e; });
}


void Gates::insert(Native_capability thread, Native_capability cap)
{
	_block_with_space().with_result(
		[&] (Block *block) {
			for (Constructible<Gate> &gate : block->gates) {
				if (gate.constructed())
					continue;

				gate.construct(_created++, thread, cap);
				_link(*gate);
				block->used++;
				_count++;
				return;
			} },
		[&] (Alloc_error) { error("missing reservation for IPC gate"); });
}


void Gates::remove(Gate &gate)
{
	Block &block = _block_of(gate);

	_unlink(gate);

	for (Constructible<Gate> &element : block.gates)
		if (element.constructed() && &*element == &gate)
			element.destruct();

	_count--;
	block.used--;

	/* keep one empty block for the gates to come */
	if (!block.used && _other_empty_block(block))
		_free_block(block);
}


void Gates::replace(Gate &gate, Native_capability cap)
{
	_unlink(gate);
	gate.cap = cap;
	_link(gate);
}


Gates::~Gates()
{
	while (Block *block = _blocks.first())
		_free_block(*block);
}
