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

	bool const _restored;  /* what terminals get is lost, or written once more, so nobody types */

	bool const _has_pipe;  /* which nobody else opens */

	Dir const _root { _client.root() }, _plain { _client.fs.dir("/plain", false) };

	File const _here  { _opened("here")  }, _here_again { _opened("here") },
	           _there { _opened("there") }, _file { _client.file(_plain, "file") };

	File _opened(char const *name)
	{
		return _client.fs.file(_root, name, File_system::READ_WRITE, false);
	}

	/* waits all the time if nobody types */
	Packet const _waiting { _client.packet(_here, Packet::READ) };

	Stream_cases(Env &env, Allocator &alloc, bool restored, bool has_pipe)
	: _client(env, alloc), _restored(restored), _has_pipe(has_pipe)
	{
		if (restored)
			_client.stream.submit(_waiting);
	}

	/**
	 * Let a packet be acknowledged as the next one
	 */
	void _acknowledged(Packet const &p, bool succeeded)
	{
		Packet const answer = _client.stream.ack();

		if (answer.offset() != p.offset() || answer.operation() != p.operation())
			wrong("a read does not wait, or something else does");

		if (answer.succeeded() != succeeded)
			wrong("a packet ", succeeded ? "is not" : "of a closed file is", " executed");
	}

	/**
	 * Execute a packet while reads wait
	 */
	void _executed(Packet const &p)
	{
		_client.stream.submit(p);
		_acknowledged(p, true);
		_client.release(p);
	}

	/**
	 * Close a file with a read that waits, and with packets behind it
	 *
	 * None of them keeps packets of another file waiting. Each of them fails, so that its
	 * buffer can be used for something else. Nothing is written there any more.
	 */
	void _closed(unsigned const round)
	{
		Text const text { "other ", round };

		File   const closed = _opened("there");
		Packet const lost[] = { _client.packet(closed, Packet::READ),
		                        _client.write_packet(closed, { "lost ", round }),
		                        _client.packet(closed, Packet::SYNC) };

		for (Packet const &p : lost)
			_client.stream.submit(p);

		_executed(_client.write_packet(_file, text));
		_client.expect("file beside one that waits", _file, text);
		_client.fs.close(closed);

		for (Packet const &p : lost)
			_acknowledged(p, false);

		_client.release(lost[1]);
		_client.release(lost[2]);

		/* nobody reads into the buffer any more */
		Text   const used_again { "again ", round };
		Packet const again(lost[0], _file, Packet::WRITE, File_client::LENGTH, 0);

		copy_cstring(_client.content(again), used_again.string(), File_client::LENGTH);

		if (!_restored)
			_executed(_client.write_packet(_here_again, { "typed ", round }));

		_executed(again);
		_client.expect("file written from the buffer of a read that failed", _file, used_again);

		if (!_restored)
			_client.expect("what was typed behind", _there, { "typed ", round });
	}

	/**
	 * Close a pipe with a read that waits, which looks like plain data
	 */
	void _closed_pipe(unsigned const round)
	{
		Dir    const dir  = _client.fs.dir("/pipes", false);
		File   const pipe = _client.fs.file(dir, "waiting", File_system::READ_ONLY, false);
		Packet const lost = _client.packet(pipe, Packet::READ);

		_client.stream.submit(lost);

		_executed(_client.write_packet(_file, { "beside a pipe ", round }));
		_client.fs.close(pipe);
		_client.fs.close(dir);
		_acknowledged(lost, false);
		_client.release(lost);
	}

	/**
	 * Write to the terminal at which a read waits, and to its other end
	 */
	void _typed(unsigned const round)
	{
		/* as long as what a terminal writes */
		Text const text { "there ", round };

		_client.stream.submit(_waiting);

		/* nobody waits for those who wait */
		_executed(_client.write_packet(_here_again, { "here ", round }));
		_executed(_client.write_packet(_file, text));
		_client.expect("what was written to a terminal", _there, { "here ", round });

		_closed(round);

		/* the one who waits gets it at last */
		Packet const last = _client.write_packet(_there, text);

		_client.stream.submit(last);

		for (unsigned i = 0; i < 2; i++) {
			Packet const answer = _client.stream.ack();
			if (answer.offset() != last.offset() && answer.offset() != _waiting.offset())
				wrong("foreign acknowledgement");
		}
		if (Text(Cstring(_client.content(_waiting), File_client::LENGTH)) != text)
			wrong("what was waited for does not come");

		_client.release(last);
	}

	void execute(unsigned const round)
	{
		if (_restored)
			_closed(round);
		else
			_typed(round);

		if (_has_pipe)
			_closed_pipe(round);

		_client.stream.nothing_left();
	}

	void damage(Timer::Connection &timer) { _client.stream.damage(timer); }
};

#endif /* _STREAM_CASES_H_ */
