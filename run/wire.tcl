#
# \brief  Wire between two systems, which can be slow, or cut
# \date   2026-12-01
#
# To be started by a run script, for network devices of QEMU with '-netdev socket,connect=127.0.0.1:PORT'. The first line
# of its output has the ports for both sides. Each line of its input is one of
#
#   rate NUMBER    let so many bytes through per second and direction, 0 for all
#   cut            let no frame through
#   mend           let them through again
#
# and is answered by the same line once it is in effect. It ends with its input.
#

# a frame that finds more than these bytes in front of it gets lost, as in a switch
set max_queue [expr 128*1024]

set rate 0
set open 1

array set peers   {a "" b ""}
array set buffers {a "" b ""}
array set queues  {a "" b ""}   ;# towards a side, bytes of whole frames
array set due     {a 0 b 0}     ;# when the next bytes may pass, in microseconds

proc other { side } { return [expr {$side eq "a" ? "b" : "a"}] }

proc accept { side channel args } {
	global peers buffers queues

	if {$peers($side) ne ""} { catch { close $peers($side) } }

	fconfigure $channel -translation binary -blocking 0 -buffering none
	set peers($side)   $channel
	set buffers($side) ""
	set queues($side)  ""
	fileevent $channel readable [list receive $side $channel]
}

proc receive { side channel } {
	global peers buffers

	if {[catch { read $channel } bytes] || [eof $channel]} {
		close $channel
		if {$peers($side) eq $channel} { set peers($side) "" }
		return
	}
	if {$peers($side) ne $channel} { return }

	append buffers($side) $bytes

	# each frame has its length in front
	set at 0
	while {[binary scan $buffers($side) @${at}Iu length] && [string length $buffers($side)] >= $at + 4 + $length} {
		forward [other $side] [string range $buffers($side) $at [expr {$at + 3 + $length}]]
		set at [expr {$at + 4 + $length}]
	}
	set buffers($side) [string range $buffers($side) $at end]
}

proc forward { to frame } {
	global open rate queues max_queue

	if {!$open} { return }

	if {!$rate && $queues($to) eq ""} {
		send $to $frame
	} elseif {[string length $queues($to)] < $max_queue} {
		append queues($to) $frame
	}
}

proc send { to bytes } {
	global peers
	if {$peers($to) ne ""} { catch { puts -nonewline $peers($to) $bytes } }
}

# let frames pass whose time has come
proc pass { } {
	global queues due rate

	set now [clock microseconds]
	foreach to {a b} {
		if {$due($to) < $now - 100000} { set due($to) [expr {$now - 100000}] }

		while {$queues($to) ne "" && $due($to) <= $now} {
			binary scan $queues($to) Iu length
			set end [expr {$length + 4}]
			send $to [string range $queues($to) 0 [expr {$end - 1}]]
			set queues($to) [string range $queues($to) $end end]
			if {$rate} { incr due($to) [expr {1000000*$end/$rate}] }
		}
	}
	after 5 pass
}

proc command { } {
	global rate open queues

	if {[gets stdin line] < 0} { exit 0 }

	switch [lindex $line 0] {
		rate { set rate [lindex $line 1] }
		cut  { set open 0; array set queues {a "" b ""} }
		mend { set open 1 }
	}
	puts $line
}

fconfigure stdout -buffering line
fileevent stdin readable command

set ports {}
foreach side {a b} {
	set server [socket -server [list accept $side] -myaddr 127.0.0.1 0]
	lappend ports [lindex [fconfigure $server -sockname] 2]
}
puts $ports

pass
vwait forever
