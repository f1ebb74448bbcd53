-- What a scope of tasks knows (see gen/scope.lua): who waits in it, what is below it, whether it
-- was cancelled. The loop keeps these up to date; here is no more than the bookkeeping.
local util = require "tornado.util"

local Scope = util.Object:extend "Scope"

Scope.err = false -- what its waits raise, once it is cancelled
Scope.deadline = false -- on core.monotonic(), the least of its own and its parents'
Scope.shielded = false -- a parent's cancellation stops here
Scope.left = false -- its body has ended
Scope.tasks = 0 -- that run in it
Scope.scopes = false -- the set of those right below it
Scope.timer = false
Scope.joiner = false -- who waits for its children

--- Takes the scope that it is in (false: none), and whether it is shielded from that one's end.
function Scope:init(parent, shielded)
    self.parent = parent
    self.waiting = {} -- set of waiters
    if shielded then self.shielded = true end
    if not parent then return end
    parent.scopes = parent.scopes or {}
    parent.scopes[self] = true
    if shielded then return end
    self.err, self.deadline = parent.err, parent.deadline
end

-- Tasks may go on behind the end of their scope; it stays in its parent's reach until the last
-- of them has ended.
local function unlink(self)
    while self.left and self.tasks == 0 and not (self.scopes and next(self.scopes)) do
        local parent = self.parent
        if not parent then return end
        parent.scopes[self] = nil
        self = parent
    end
end

--- The body is over.
function Scope:leave()
    self.left = true
    unlink(self)
end

--- A task has ended.
function Scope:drop_task()
    self.tasks = self.tasks - 1
    unlink(self)
end

return Scope
