/*
 * \brief  Members of a restored unit: quota, tables, parents
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/restore.h>

using namespace Cap_checkpoint;


void Restore::_find_members()
{
	for (uint32_t member = 0; member < _image.num_members(); member++)
		_members[member] = &_pd_of(_image.member(member).session);
}


/**
 * Return number of accounts that the quota of a member has passed, there is no circle
 */
uint32_t Restore::_level(uint32_t member) const
{
	uint32_t level = 0;

	for (uint32_t account; (account = _image.member(member).account) != NONE; member = account)
		level++;

	return level;
}


/**
 * Let the quota of a member come from the account that the image tells
 */
bool Restore::_refer_to_account(uint32_t const member)
{
	Virtual_pd &pd = *_members[member];

	uint32_t   const number  = _image.member(member).account;
	Virtual_pd const *account = (number == NONE) ? nullptr : _members[number];

	if (account && !pd.reference_account())
		(void)pd.ref_account(account->cap());

	/* core respects the first account only, which may be one of a round before */
	return pd.reference_account() == account
	    || _refuse(Refused::Reason::MEMORY, _named(member), "another account");
}


/**
 * Take note of what core does not let a member give back
 *
 * \param fresh  the member has just got its account
 */
void Restore::_note_least(uint32_t const member, bool const fresh)
{
	Virtual_pd &pd = *_members[member];

	if (fresh)
		_least[member] = { &pd, pd.received() };
	else if (_ahead)
		for (Least const &least : _ahead->_least)
			if (least.pd == &pd)
				_least[member] = least;
}


/**
 * Move quota between a member and its account
 *
 * \param down  from the account to the member
 */
bool Restore::_move_quota(uint32_t const member, bool const down, uint64_t const ram,
                          uint64_t const caps)
{
	Virtual_pd &pd      = *_members[member],
	           &account = *_members[_image.member(member).account],
	           &from    = down ? account : pd,
	           &to      = down ? pd : account;

	/* more than there can be is more than an account has */
	auto limited = [] (uint64_t value) { return size_t(min(value, uint64_t(~size_t(0)))); };

	using Result = Pd_session::Transfer_result;

	return (from.transfer_quota(to.cap(), Ram_quota { limited(ram)  }) == Result::OK
	     && from.transfer_quota(to.cap(), Cap_quota { limited(caps) }) == Result::OK)
	    || _refuse(Refused::Reason::MEMORY, _named(member), ram, " bytes and ", caps,
	               " capabilities cannot be moved ", down ? "to" : "from", " its account");
}


/**
 * Let each member have the quota that the image tells
 *
 * Those that were provided ahead may have too much. What comes up goes down again to others.
 */
bool Restore::_provide_quota()
{
	struct Quota { uint64_t ram, caps; };

	/* of a member, and of those whose account it is */
	Quota has[Image::MAX_MEMBERS] { }, needs[Image::MAX_MEMBERS] { };

	uint32_t levels[Image::MAX_MEMBERS] { };

	uint32_t const num = _image.num_members();

	for (uint32_t member = 1; member < num; member++)
		levels[member] = _level(member);

	/* an account has one of its own before others refer to it */
	bool ok = true;

	auto for_each_at = [&] (uint32_t level, auto const &fn)
	{
		for (uint32_t member = 1; member < num && ok; member++)
			if (levels[member] == level)
				ok = fn(member);
	};

	for (uint32_t level = 0; level < num; level++)
		for_each_at(level, [&] (uint32_t member) {

			bool const fresh = !_members[member]->reference_account();

			if (!_refer_to_account(member))
				return false;

			/* without an account, core knows of no quota */
			if (!level)
				return true;

			Image::Member const said = _image.member(member);
			Virtual_pd::Costs const received = _members[member]->received();

			_note_least(member, fresh);

			Virtual_pd::Costs const &least = _least[member].costs;

			has[member]   = { received.ram.value, received.caps.value };
			needs[member] = { max(said.ram_quota, uint64_t(least.ram.value)),
			                  max(said.cap_quota, uint64_t(least.caps.value)) };
			return true; });

	for (uint32_t level = num; level-- > 1; )
		for_each_at(level, [&] (uint32_t member) {

			uint32_t const account = _image.member(member).account;

			has  [account].ram  += has  [member].ram;
			has  [account].caps += has  [member].caps;
			needs[account].ram  += needs[member].ram;
			needs[account].caps += needs[member].caps;

			auto excess = [] (uint64_t has, uint64_t needs) { return has - min(has, needs); };

			return _move_quota(member, false, excess(has[member].ram,  needs[member].ram),
			                                  excess(has[member].caps, needs[member].caps)); });

	for (uint32_t level = 1; level < num; level++)
		for_each_at(level, [&] (uint32_t member) {

			auto missing = [] (uint64_t has, uint64_t needs) { return needs - min(has, needs); };

			return _move_quota(member, true, missing(has[member].ram,  needs[member].ram),
			                                 missing(has[member].caps, needs[member].caps)); });

	return ok;
}


/**
 * Let a component find the capability of its parent in its memory
 */
bool Restore::_fill_parent_cap(Dataspace &ds, uint64_t offset, Native_capability cap)
{
	Untyped_capability::Raw const raw = cap.raw();

	return with_attached(_child.monitor().local_rm, ds.cap, Access::WRITE,
		[&] (char *start, size_t) { memcpy(start + size_t(offset), &raw, sizeof(raw)); })
		|| _refuse(Refused::Reason::OUT_OF_MEMORY, "parent capability");
}


bool Restore::_fill_parent_cap()
{
	Image::Member const root = _image.member(0);

	_child.parent_ds     = _dataspaces[root.parent_dataspace];
	_child.parent_offset = size_t(root.parent_offset);
	_child.checkpoints   = _image.system().checkpoint;

	return _fill_parent_cap(*_child.parent_ds, root.parent_offset, _child.parent.cap());
}


/**
 * Fill the capability tables of all members that have executed something
 */
bool Restore::_fill_tables()
{
	bool all = true;

	for (uint32_t member = 0; member < _image.num_members(); member++)
		_image.with_table([&] (char const *table, size_t table_size) {

			if (!all || !table_size)
				return;

			Cap_space_monitor::Cap_space &space = _members[member]->cap_space;

			bool fits = false;

			(void)with_attached(_child.monitor().local_rm, space.ds(), Access::WRITE,
				[&] (char *start, size_t size) {
					if (table_size <= size) {
						memcpy(start, table, table_size);
						fits = true;
					} });

			all = (fits && Cap_map::ok(space.attach()))
			    || _refuse(Refused::Reason::NO_TABLE, _named(member), "cannot be filled");

		}, member);

	return all;
}


/**
 * Let the parent of each member be the gate of another one that it was
 */
bool Restore::_assign_parents()
{
	bool all = true;

	for (uint32_t number = 1; number < _image.num_members() && all; number++) {

		Image::Member const member = _image.member(number);

		if (member.parent == NONE)
			continue;

		Native_capability const cap = _gates[member.parent];

		_members[number]->assign_parent(reinterpret_cap_cast<Parent>(cap));

		if (member.parent_dataspace != NONE)
			all = _fill_parent_cap(*_dataspaces[member.parent_dataspace], member.parent_offset, cap);
	}
	return all;
}
