/*
 * \brief  Files on which a read waits until somebody writes
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _STREAM_CASES_H_
#define _STREAM_CASES_H_

/* local includes */
#include <file_cases.h>

namespace Test { struct Stream_cases; }


/**
 * Two terminals whose ends are connected
 */
struct Test::Stream_cases
{
	using Packet = File_client::Packet;
	using File   = File_client::File;
	using Dir    = File_client::Dir;
	using Text   = File_client::Text;

	File_client _client;

	Dir const _root { _client.root() }, _plain { _client.fs.dir("/plain", false) };

	File const _here  { _opened("here")  }, _here_again { _opened("here") },
	           _there { _opened("there") }, _file { _client.file(_plain, "file") };

	File _opened(char const *name)
	{
		return _client.fs.file(_root, name, File_system::READ_WRITE, false);
	}

	Stream_cases(Env &env, Allocator &alloc) : _client(env, alloc) { }

	/**
	 * Return a packet that was acknowledged, which must be another one than 'waiting'
	 */
	void _executed(Packet const &p, Packet const &waiting)
	{
		_client.stream.submit(p);

		Packet const answer = _client.stream.ack();

		if (answer.offset() == waiting.offset() || !answer.succeeded())
			wrong("a read does not wait, or something else is not executed");
	}

	void execute(unsigned const round)
	{
		/* as long as what a terminal writes */
		Text const text { "there ", round };

		Packet const waiting = _client.packet(_here, Packet::READ);

		_client.stream.submit(waiting);

		/* nobody waits for those who wait */
		Packet const write = _client.write_packet(_here_again, { "here ", round }),
		             other = _client.write_packet(_file, text);

		_executed(write, waiting);
		_executed(other, waiting);
		_client.release(write);
		_client.release(other);
		_client.expect("what was written to a terminal", _there, { "here ", round });

		/* who closes a file gets nothing of what comes behind */
		File   const closed = _opened("there");
		Packet const lost   = _client.packet(closed, Packet::READ);

		_client.stream.submit(lost);
		_client.fs.close(closed);

		Packet const more = _client.write_packet(_here_again, { "more ", round });

		_executed(more, waiting);
		_client.release(more);
		_client.expect("what was written behind", _there, { "more ", round });

		/* the one who waits gets it at last */
		Packet const last = _client.write_packet(_there, text);

		_client.stream.submit(last);

		for (unsigned i = 0; i < 2; i++) {
			Packet const answer = _client.stream.ack();
			if (answer.offset() != last.offset() && answer.offset() != waiting.offset())
				wrong("foreign acknowledgement");
		}
		if (Text(Cstring(_client.content(waiting), File_client::LENGTH)) != text)
			wrong("what was waited for does not come");

		_client.release(last);
		_client.release(waiting);
		_client.release(lost);
	}

	void damage(Timer::Connection &timer) { _client.stream.damage(timer); }
};

#endif /* _STREAM_CASES_H_ */
