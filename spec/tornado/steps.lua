-- steps(fn, ...): the VM instructions (in hundreds) that fn(...) takes, the JIT being off.
return function(fn, ...)
    local count = 0
    jit.off()
    jit.flush() -- a compiled trace counts no instructions
    debug.sethook(function() count = count + 1 end, "", 100)
    fn(...)
    debug.sethook()
    jit.on()
    return count
end
