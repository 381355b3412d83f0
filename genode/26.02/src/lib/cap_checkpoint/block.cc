/*
 * \brief  Block session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/block_session.h>

using namespace Cap_checkpoint;

using Type = Block::Operation::Type;


/**
 * Return arguments of the session that matter to the server
 */
static Open_session::Args args_for_server(Open_session::Args const &args)
{
	Block::Constrained_view const view = Block::Constrained_view::from_args(args.string());

	return { ", tx_buf_size=", Packet_memory::buffer_size(args), ", offset=", view.offset.value,
	         ", num_blocks=", view.num_blocks.value, ", writeable=", view.writeable };
}


Block_service_session::Block_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                             Allocator &alloc, Session_label const &label,
                                             Id_space<Open_session> &space,
                                             Request const &request)
:
	Open_session(space, request), _ep(ep),
	_relay(env, ep, pd, alloc, *this, request.args),
	_server(env, Block::Session::service_name(), label, server_quota(request.args),
	        args_for_server(request.args))
{
	if (_server.cap().valid() && _relay.usable())
		_connect(env);

	_ep.manage(*this);
}


/* an alignment that no offset in a buffer has */
static constexpr unsigned MAX_ALIGN_LOG2 = 30;

static_assert(Packet_memory::MAX_BUFFER <= 1UL << MAX_ALIGN_LOG2);


void Block_service_session::_connect(Env &env)
{
	Client client { static_cap_cast<Block::Session>(_server.cap()) };

	_info = client.info();

	/* the size of a block divides what comes from the component, the alignment shifts it */
	if (!_info.block_size || _info.align_log2 > MAX_ALIGN_LOG2)
		return;

	_relay.server(env.rm(), client.tx_cap());
	_relay.traits({ _info.block_size, _info.block_count, _info.align_log2, _info.writeable });
}


bool Block_service_session::_same_device() const
{
	uint64_t const (&traits)[Relay::List::NUM_TRAITS] = _relay.list().traits;

	return traits[0] == _info.block_size && traits[1] == _info.block_count
	    && traits[2] == _info.align_log2 && traits[3] == _info.writeable;
}


/*******************************
 ** Packet_executor interface **
 *******************************/

Block_service_session::Payload Block_service_session::payload(Packet const &p) const
{
	Type const type = p.operation_type();

	if (!Block::Operation::has_payload(type))
		return { };

	return { .offset      = p.offset(),
	         .length      = p.block_count()*_info.block_size,
	         .to_server   = (type == Type::WRITE),
	         .from_server = (type == Type::READ) };
}


bool Block_service_session::well_formed(Packet const &p) const
{
	if (p.block_count()  > _info.block_count
	 || p.block_number() > _info.block_count - p.block_count())
		return false;

	switch (p.operation_type()) {
	case Type::READ:
	case Type::WRITE:
		return p.block_count()
		    && p.block_count() <= Packet_memory::MAX_BUFFER/_info.block_size
		    && aligned(addr_t(p.offset()), { .log2 = _info.align_log2 });
	case Type::SYNC:
	case Type::TRIM:
		return true;
	case Type::INVALID:
		break;
	}
	return false;
}


/**
 * Return true if two packets have blocks in common, of which at least one is changed
 */
bool Block_service_session::conflict(Packet const &a, Packet const &b) const
{
	auto changes = [] (Type type) { return type == Type::WRITE || type == Type::TRIM; };

	Type const type_a = a.operation_type(), type_b = b.operation_type();

	if (type_a == Type::SYNC || type_b == Type::SYNC || (!changes(type_a) && !changes(type_b)))
		return false;

	/* a packet without blocks may be about the whole device */
	if (!a.block_count() || !b.block_count())
		return true;

	uint64_t const first_a = a.block_number(), first_b = b.block_number();

	return first_a < first_b ? first_b - first_a < a.block_count()
	                         : first_a - first_b < b.block_count();
}


bool Block_service_session::only_reads(Packet const &p) const
{
	return p.operation_type() == Type::READ;
}


static Block::Operation operation(Block::Packet_descriptor const &p)
{
	return { .type = p.operation_type(), .block_number = p.block_number(),
	         .count = p.block_count() };
}


bool Block_service_session::for_server(Packet &p, uint32_t serial, Packet &request)
{
	Payload const used = payload(p);

	Block::Operation requested = operation(p);

	/* to trim nothing means to trim a lot to some devices, and whatever is to be synced may be */
	if (requested.type == Type::TRIM && !requested.count)
		requested.type = Type::SYNC;

	request = Packet(requested, { .offset = used.offset, .bytes = used.length }, { serial });
	return true;
}


bool Block_service_session::answers(Packet const &answer, Packet const &, uint32_t serial) const
{
	return answer.tag().value == serial;
}


/**
 * Let the component know as much as the server has done of it
 */
Block_service_session::Packet Block_service_session::result(Packet const &p,
                                                            Packet const &answer) const
{
	Block::Operation done = operation(p);

	done.count = min(done.count, answer.block_count());

	Packet result(done, { .offset = p.offset(), .bytes = p.size() }, p.tag());

	result.succeeded(answer.succeeded());
	return result;
}


Block_service_session::Packet Block_service_session::failed(Packet const &p) const
{
	return Packet(operation(p), { .offset = p.offset(), .bytes = p.size() }, p.tag());
}
