/* A campaign that runs by itself: written by `labctl export`, for a console where labctl cannot be.
 *
@about@
 *
 * Start or go on (a person, at the console):          xau @program@ <job folder>
 * The guard, which watches while this one acquires:   xau labctl_guard <job folder>
 * Say that the probe has been tuned (a person):       xau @program@ <job folder> tuned
 * End now; what was acquired is kept (a person):      xau @program@ <job folder> stop
 * Go on; nothing is being acquired any more (a person has looked, after a power cut):
 *                                                     xau @program@ <job folder> idle
 *
 * What it holds to:
 *   - no dialog, ever: nobody is there to click;
 *   - it never acquires into an EXPNO that holds raw data, and never uses ZG_OVERWRITE. What is complete is not
 *     acquired again, so that after any stop the same command goes on where it ended; what was ended early is
 *     kept, and acquired anew in the EXPNO behind it;
 *   - it never starts, stops or ejects the rotor, and heats only while rotor and gas are as they should be;
 *   - no TEREADY, which has no time-out: temperatures are polled, with a deadline;
 *   - no heat without the guard; when that has gone safe, or is silent, or anything fails, this one stops, and the
 *     heater is switched off;
 *   - limits are those of the lab file, and constants of this program.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <time.h>

@constants@
#define GUARD_SILENT_S 180.0
#define LEASE_S 900

int alone_main(char *folder, int idle);
int tuned_main(char *folder);
int stop_main(char *folder);

char job_folder[250];
int word, verb;

/* The arguments are joined again: a job folder may have blanks in its path. */
strcpy(job_folder, "");
verb = 0;
for (word = 2; word < i_argc; word++) {
    verb = 0;
    if (word > 2 && word == i_argc - 1) {
        if (strcmp(i_argv[word], "tuned") == 0) {
            verb = 1;
        }
        if (strcmp(i_argv[word], "stop") == 0) {
            verb = 2;
        }
        if (strcmp(i_argv[word], "idle") == 0) {
            verb = 3;
        }
    }
    if (verb == 0) {
        if (word > 2) {
            strcat(job_folder, " ");
        }
        strcat(job_folder, i_argv[word]);
    }
}
if (verb == 1) {
    AUERR = tuned_main(job_folder);
} else {
    if (verb == 2) {
        AUERR = stop_main(job_folder);
    } else {
        AUERR = alone_main(job_folder, verb == 3);
    }
}
QUIT

@executor: what it knows@

/* of this program alone */
char step_id[250], key[20];
double planned_s;          /* how long the acquisition in hand should take */
double held_within_K, held_for_s, held_give_up_s;    /* how the temperature of this visit was settled */
int lease_no, guard_instance, guard_beat, guard_trip, guard_well;
double guard_beat_s, guard_asked_s, lease_written_s;
int heated;                /* the set point was moved: heat is to be taken back at the end */
int may_run;               /* an acquisition of an earlier start may still be under way */
int nothing_runs;          /* a person says so */
int trouble;               /* an EXPNO is somebody else's, or was ended early nine times */
int giving_up;             /* the safe state is being made: nothing interrupts that */

@executor: files@

/* --------------------------------------------------------------------------------------------- the guard's files */

/* Writes the limits anew, because only a newer file can change for how long the guard waits to hear from us. */
int write_configuration(int lease_s)
{
    FILE *f;
    char path[300];

    config_no++;
    if (config_no == 1) {
        sprintf(path, "%s/guard.cfg", job);
    } else {
        sprintf(path, "%s/guard.%04d.cfg", job, config_no);
    }
    f = fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    fprintf(f, "epoch=1\npoll_s=%d\nramp_poll_s=%d\nlease_s=%d\nlog_s=10\nblind_s=%d\n", POLL_S, RAMP_POLL_S, lease_s,
            BLIND_S);
    fprintf(f, "sensor_min_K=%.6f\nsensor_max_K=%.6f\nheater_max_percent=%.6f\ngas_min_L_per_h=%.6f\n", SENSOR_MIN_K,
            SENSOR_MAX_K, HEATER_MAX_PERCENT, GAS_MIN_L_PER_H);
    fprintf(f, "ramp_max_K_per_min=%.9f\nspinning_min_Hz=%.6f\nspinning_tolerance_Hz=%.6f\n", RAMP_MAX_K_PER_MIN,
            SPINNING_MIN_HZ, SPINNING_TOLERANCE_HZ);
    fprintf(f, "safe_setpoint_K=%.6f\nsafe_ramp_K_per_min=%.9f\n", SAFE_SETPOINT_K, SAFE_RAMP_K_PER_MIN);
    fprintf(f, "data_dir=%s\nguard_dataset=%s\nexecutor_dataset=%s\n", data_dir, GUARD_DATASET, scratch_dataset);
    fprintf(f, "template_dataset=%s\ntemplate_expno=%d\n", template_dataset, template_expno);
    fprintf(f, "heater_parameter=%s\ngas_readback=%s\nspinning_readback=%s\nhalt_command=%s\n", HEATER_PARAMETER,
            gas_readback, spinning_readback, HALT_COMMAND);
    fprintf(f, "heat_is_ours=0\nexpected_spinning_Hz=0.0\nstep_next=%d\ncontrol_next=%d\nlease_next=%d\nend\n",
            seq + 1, control_no, lease_no);
    fclose(f);
    return 0;
}

int renew_lease()
{
    FILE *f;
    char path[300];

    now_s = time(0);
    if (now_s - lease_written_s < 60.0 && now_s >= lease_written_s) {
        return 0;
    }
    sprintf(path, "%s/lease/%08d.lease", job, lease_no);
    f = fopen(path, "w");
    if (f != NULL) {
        fprintf(f, "epoch=1\ntime=%.0f\nend\n", now_s);
        fclose(f);
        lease_no++;
        lease_written_s = now_s;
        if (lease_no > 21) {
            sprintf(path, "%s/lease/%08d.lease", job, lease_no - 21);
            remove(path);
        }
    }
    return 0;
}

int write_control(char *what)
{
    FILE *f;
    char path[300];

    sprintf(path, "%s/control/%06d.ctl", job, control_no);
    while (there(path)) {
        control_no++;
        sprintf(path, "%s/control/%06d.ctl", job, control_no);
    }
    f = fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    fprintf(f, "verb=%s\nreason=%s\nepoch=1\nseq=0\nend\n", what, PROGRAM);
    fclose(f);
    return 0;
}

/* 1 if the guard has written a heartbeat within the last three minutes. */
int hear_guard()
{
    FILE *f;
    char path[300], line[250], state[250];
    int ahead, look, needs_person;

    sprintf(path, "%s/guard/start.%04d", job, guard_instance + 1);
    while (there(path)) {
        guard_instance++;
        guard_beat = guard_instance * 1000000;
        guard_asked_s = 0.0;
        sprintf(path, "%s/guard/start.%04d", job, guard_instance + 1);
    }
    if (guard_instance < 1) {
        return 0;
    }
    /* The guard keeps its last 20 heartbeats: strides of 10 cannot miss them. */
    now_s = time(0);
    sprintf(path, "%s/guard/%08d.hb", job, guard_beat + 1);
    look = !there(path);
    for (ahead = 10; look && ahead <= 900000 && (guard_asked_s < 1.0 || (ahead - 40) * 1.0 < now_s - guard_asked_s);
         ahead = ahead + 10) {
        sprintf(path, "%s/guard/%08d.hb", job, guard_beat + ahead);
        if (there(path)) {
            guard_beat = guard_beat + ahead - 1;
            look = 0;
        }
    }
    sprintf(path, "%s/guard/%08d.hb", job, guard_beat + 1);
    while (finished(path)) {
        guard_beat++;
        strcpy(state, "");
        needs_person = 0;
        f = fopen(path, "r");
        if (f != NULL) {
            while (fgets(line, 240, f) != NULL) {
                sscanf(line, "time=%lf", &guard_beat_s);
                sscanf(line, "state=%[^\n]", state);
                sscanf(line, "needs_person=%d", &needs_person);
            }
            fclose(f);
        }
        guard_well = strcmp(state, "safe") != 0;
        guard_trip = needs_person;
        sprintf(path, "%s/guard/%08d.hb", job, guard_beat + 1);
    }
    guard_asked_s = now_s;
    return now_s - guard_beat_s <= GUARD_SILENT_S;
}

/* ------------------------------------------------------------------------------------------------- control */

int read_control(char *path)
{
    FILE *f;
    char line[250];

    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    while (fgets(line, 240, f) != NULL) {
        if (strncmp(line, "verb=safe", 9) == 0) {
            safe_asked = 1;
        }
        if (strncmp(line, "verb=run", 8) == 0) {
            safe_asked = 0;
        }
    }
    fclose(f);
    return 0;
}

@executor: control, without read_control, interrupted@

@executor: superseded@

/* Whether the step in hand must end now; `stop_why` says why. Every loop that waits asks. */
int interrupted()
{
    if (giving_up) {
        return 0;
    }
    renew_lease();
    follow_control();
    stop_asked = 0;
    if (superseded()) {
        stop_asked = 1;
        leave = 1;
        strcpy(stop_why, "this program has been started again; the newer one goes on");
    }
    if (safe_asked) {
        stop_asked = 1;
        strcpy(stop_why, "a person asked for the end");
    }
    if (guard_is_safe()) {
        stop_asked = 1;
        strcpy(stop_why, "the guard has gone safe");
    }
    if (now_s - guard_asked_s >= 60.0 && !hear_guard()) {
        stop_asked = 1;
        strcpy(stop_why, "the guard is silent: start it with xau labctl_guard");
    }
    return stop_asked;
}

@executor: readings@

@executor: status records@

/* What a person at the console sees, and job/log.txt keeps. */
int tell(char *text)
{
    FILE *f;
    char path[300], said[600];

    now_s = time(0);
    sprintf(said, "%s: %s", PROGRAM, text);
    Show_status(said);
    sprintf(path, "%s/log.txt", job);
    f = fopen(path, "a");
    if (f != NULL) {
        fprintf(f, "%.0f te_K=%.3f %s\n", now_s, te_K, text);
        fclose(f);
    }
    return 0;
}

@executor: temperature@

@executor: spinning@

/* --------------------------------------------------------------------------------------------------- tuning */

int tune()
{
    double waited_s;
    char path[300], text[250];

    if (strcmp(mode, "atma") == 0) {
        DATASET(scratch_dataset, 1, 1, data_dir, user)
        ATMA
        if (AUERR < 0) {
            return fail("atma failed");
        }
        return 0;
    }
    waited_s = 0.0;
    now_s = time(0);
    last_s = now_s;
    read_instruments();
    sprintf(text, "tune the probe, then type: xau %s <job folder> tuned", PROGRAM);
    report("progress", "waiting for a person", -1.0, text);
    tell(text);
    sprintf(path, "%s/operator/%06d.answer", job, seq);
    while (!finished(path)) {
        if (interrupted()) {
            return fail(stop_why);
        }
        tick();
        waited_s = waited_s + elapsed_s;
        if (waited_s >= give_up_s) {
            return fail("nobody tuned the probe in time");
        }
        sleep(poll_s);
    }
    return 0;
}

@executor: acquisition@

/* ----------------------------------------------------------------------------------------------------- steps */

@executor: perform@

/* Take a step up; what it is about is set after this. */
int step(char *id, char *what)
{
@executor: defaults of a step@
    strcpy(step_id, id);
    strcpy(action, what);
    strcpy(key, "");
    planned_s = 0.0;
    step_epoch = 1;
    strcpy(dataset, CAMPAIGN_DATASET);
    return 0;
}

int carry_out()
{
    char text[600];

    seq++;
    record_no = 0;
    if (interrupted()) {
        fail(stop_why);
        report("failed", "refused", -1.0, "");
        return -1;
    }
    sprintf(text, "%s: %s", step_id, action);
    tell(text);
    report("begun", "begun", -1.0, "");
    if (strcmp(action, "set_temperature") == 0) {
        heated = 1;
    }
    if (perform() < 0) {
        report("failed", "failed", -1.0, "");
        return -1;
    }
    report("done", "done", -1.0, "");
    return 0;
}

int settled()
{
    held_within_K = within_K;
    held_for_s = hold_s;
    held_give_up_s = give_up_s;
    return carry_out();
}

/* ---------------------------------------------------------------------------------- what has been acquired already */

/* Whether a line of an audit trail names a TopSpin before 3.7. */
int names_old_version(char *line)
{
    char *at;
    double version;

    at = strstr(line, "SPIN ");
    if (at == NULL) {
        at = strstr(line, "Spin ");
    }
    if (at == NULL) {
        return 0;
    }
    version = atof(at + 5);
    return version > 0.5 && version < 3.65;
}

/* How the last acquisition of an audit trail ended: 1 completed, 0 not ended (yet), -1 ended early. TopSpin up to 3.6
 * writes its entry when all is over, and no word of completion. */
int audit_says()
{
    FILE *f;
    char path[600], line[1000];
    int says, old;

    sprintf(path, "%s/%s/%d/audita.txt", data_dir, dataset, target_expno);
    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    says = 0;
    old = 0;
    while (fgets(line, 990, f) != NULL) {
        if (names_old_version(line)) {
            old = 1;
        }
        if (strstr(line, "acquisition in progress") != NULL) {
            says = 0;
        }
        if (strstr(line, "created by") != NULL) {
            says = old;
        }
        if (strstr(line, "completed at") != NULL || strstr(line, "finished successfully at") != NULL) {
            says = 1;
        }
        if (strstr(line, "terminated by") != NULL) {
            says = -1;
        }
    }
    fclose(f);
    return says;
}

/* Until when at most the acquisition of this token may be under way; 0 if it never began, or its end was seen here. */
double may_run_until_s()
{
    FILE *f;
    char path[600], line[250];
    double begun, planned;

    begun = 0.0;
    planned = 0.0;
    sprintf(path, "%s/tokens/%s.ended", job, token);
    if (nothing_runs || there(path)) {
        return 0.0;
    }
    sprintf(path, "%s/tokens/%s", job, token);
    f = fopen(path, "r");
    if (f != NULL) {
        while (fgets(line, 240, f) != NULL) {
            sscanf(line, "begun=%lf", &begun);
            sscanf(line, "planned=%lf", &planned);
        }
        fclose(f);
    }
    if (begun < 1.0) {
        return 0.0;
    }
    return begun + 1.2 * planned + 600.0;
}

int note_token(char *what)
{
    FILE *f;
    char path[600];

    sprintf(path, "%s/tokens/%s%s", job, token, what);
    f = fopen(path, "w");
    if (f == NULL) {
        return fail("the job folder cannot be written");
    }
    now_s = time(0);
    fprintf(f, "begun=%.0f\nplanned=%.0f\nseq=%d\nend\n", now_s, planned_s, seq + 1);
    fclose(f);
    return 0;
}

/* 2 acquired; 1 this EXPNO is to be acquired; 0 it may still be running; -1 something is wrong with the EXPNOs. */
int find_target(char *id, int slot)
{
    char text[600];
    int attempt, says;

    strcpy(dataset, CAMPAIGN_DATASET);
    for (attempt = 1; attempt <= 9; attempt++) {
        sprintf(token, "%s-%d", id, attempt);
        target_expno = slot + attempt;
        if (!target_is_ours()) {
            sprintf(text, "EXPNO %d of %s is somebody else's; nothing was touched", target_expno, dataset);
            return fail(text);
        }
        says = 0;    /* raw data may come only when all is over */
        if (raw_data_there()) {
            says = audit_says();
        }
        if (says > 0) {
            return 2;
        }
        now_s = time(0);
        if (says == 0 && now_s < may_run_until_s()) {
            return 0;
        }
        if (!raw_data_there()) {
            return 1;
        }
    }
    return fail("nine attempts were ended early; a person looks why");
}

/* Whether something is left to acquire here; `trouble` where the EXPNOs are not as they should be, `may_run` where an
 * acquisition may still be under way. */
int wanted(char *id, int slot)
{
    int found;

    found = find_target(id, slot);
    if (found < 0) {
        trouble = 1;
    }
    if (found == 0) {
        may_run = 1;
    }
    return found != 2;
}

/* The visit's temperature once more: a reading in the band, or the whole settling again. */
int hold_temperature()
{
    char kept_action[250], kept_token[250];
    double kept_within_K, kept_hold_s, kept_give_up_s;
    int ok;

    read_instruments();
    if (te_K > 0.0 && fabs(te_K - setpoint_K) <= held_within_K) {
        return 0;
    }
    strcpy(kept_action, action);
    strcpy(kept_token, token);
    kept_within_K = within_K;
    kept_hold_s = hold_s;
    kept_give_up_s = give_up_s;
    strcpy(action, "await_stable");
    strcpy(token, "none");
    within_K = held_within_K;
    hold_s = held_for_s;
    give_up_s = held_give_up_s;
    tell("the temperature has left its band; settling again");
    ok = carry_out();
    strcpy(action, kept_action);
    strcpy(token, kept_token);
    within_K = kept_within_K;
    hold_s = kept_hold_s;
    give_up_s = kept_give_up_s;
    return ok;
}

int acquisition(char *id, int slot, char *heading)
{
    char text[600];
    int found;

    strcpy(key, id);
    found = find_target(id, slot);
    if (found < 0) {
        return -1;
    }
    if (found == 0) {
        return fail("somebody acquires where this program is to acquire");
    }
    if (found == 2) {
        sprintf(text, "%s: acquired before, EXPNO %d", step_id, target_expno);
        return tell(text);
    }
    if (held_within_K > 0.0 && hold_temperature() < 0) {
        return -1;
    }
    sprintf(title, "%s %s", heading, token);
    if (note_token("") < 0) {
        return -1;
    }
    /* This program is deaf until ZG returns, so the guard is told for how long it will not hear from us. */
    lease_written_s = 0.0;
    renew_lease();
    write_configuration((int)(1.5 * planned_s) + 3600);
    found = carry_out();
    note_token(".ended");
    lease_written_s = 0.0;
    renew_lease();
    write_configuration(LEASE_S);
    if (found == 0 && audit_says() < 0) {
        sprintf(text, "%s: EXPNO %d was ended early; it is kept, and acquired anew at the next start", step_id, target_expno);
        tell(text);
    }
    if (found == 0 && held_within_K > 0.0 && te_K > 0.0 && fabs(te_K - setpoint_K) > held_within_K) {
        sprintf(text, "%s: TE was %.2f K at its end, outside of the band", step_id, te_K);
        tell(text);
    }
    return found;
}

/* -------------------------------------------------------------------------------------------------- the campaign */

@campaign@

/* ------------------------------------------------------------------------------------------------------ main */

/* Heat is taken back: by the guard's ramp if it lives, else by ours; then the heater goes off in any case. */
int make_safe()
{
    double waited_s;
    int blind;

    giving_up = 1;
    step("safe", "cool_down");
    setpoint_K = SAFE_SETPOINT_K;
    ramp_K_per_min = SAFE_RAMP_K_PER_MIN;
    give_up_s = 7200.0;
    if (!hear_guard() || write_control("safe") < 0) {
        cool_down();
    } else {
        waited_s = 0.0;
        blind = 0;
        read_instruments();
        now_s = time(0);
        last_s = now_s;
        while (waited_s < give_up_s && blind < 3 && te_K > SAFE_SETPOINT_K + 5.0) {
            sleep(poll_s);
            read_instruments();
            tick();
            waited_s = waited_s + elapsed_s;
            blind = te_K < 0.0 ? blind + 1 : 0;
            if (te_K < 0.0 && blind < 3) {
                te_K = SAFE_SETPOINT_K + 6.0;
            }
        }
    }
    VTU_HEATER("off")
    if (AUERR < 0) {
        tell("THE HEATER COULD NOT BE SWITCHED OFF: go and look");
        return -1;
    }
    heater_may_start = 0;
    tell("heater off; gas and rotor were left as they are");
    return 0;
}

/* The guard must be there before any heat. */
int await_guard()
{
    char text[250];
    double waited_s;
    int asked;

    waited_s = 0.0;
    asked = 0;
    now_s = time(0);
    last_s = now_s;
    while (!hear_guard() || !guard_well) {
        if (asked == 0 && !hear_guard()) {
            sprintf(text, "now type: xau labctl_guard <job folder>");
            tell(text);
            asked = 1;
        }
        if (asked < 2 && hear_guard() && guard_trip) {
            tell("the guard has tripped: look at rotor, gas and heater, then type: xau labctl_guard <job folder> rearm");
            asked = 2;
        }
        if (waited_s >= 1800.0) {
            return fail("the guard is not there, or safe; nothing was begun");
        }
        sleep(poll_s);
        tick();
        waited_s = waited_s + elapsed_s;
        renew_lease();
    }
    return 0;
}

/* TopSpin was restarted while it acquired, or this program was: what goes on is waited for before anything is moved. */
int await_running()
{
    int told;

    told = 0;
    while (may_run) {
        if (told == 0) {
            tell("an acquisition of an earlier start may still be running; waiting for its end");
            told = 1;
        }
        if (interrupted()) {
            return fail(stop_why);
        }
        sleep(poll_s);
        may_run = 0;
        anything_wanted();
    }
    return 0;
}

/* The step that was begun last. */
int find_step()
{
    char path[300], begun[300];

    seq = 0;
    sprintf(begun, "%s/status/%06d.0001.begun", job, seq + 1);
    sprintf(path, "%s/status/%06d.0001.failed", job, seq + 1);
    while (there(begun) || there(path)) {
        seq++;
        sprintf(begun, "%s/status/%06d.0001.begun", job, seq + 1);
        sprintf(path, "%s/status/%06d.0001.failed", job, seq + 1);
    }
    return 0;
}

int find_counters()
{
    FILE *f;
    char path[300], line[250];
    int ahead;

    config_no = 0;
    lease_no = 1;
    sprintf(path, "%s/guard.cfg", job);
    while (there(path)) {
        config_no++;
        f = fopen(path, "r");
        if (f != NULL) {
            while (fgets(line, 240, f) != NULL) {
                sscanf(line, "lease_next=%d", &lease_no);
            }
            fclose(f);
        }
        sprintf(path, "%s/guard.%04d.cfg", job, config_no + 1);
    }
    /* The last 21 are kept, and there is one a minute: strides of 10 find them, for as long as a campaign may take. */
    sprintf(path, "%s/lease/%08d.lease", job, lease_no);
    for (ahead = 0; lease_no > 1 && ahead <= 60000 && !there(path); ahead = ahead + 10) {
        sprintf(path, "%s/lease/%08d.lease", job, lease_no + ahead - 1);
    }
    if (there(path)) {
        lease_no = lease_no + (ahead > 0 ? ahead - 11 : 0);
    }
    sprintf(path, "%s/lease/%08d.lease", job, lease_no);
    while (there(path)) {
        lease_no++;
        sprintf(path, "%s/lease/%08d.lease", job, lease_no);
    }
    sprintf(path, "%s/control/%06d.ctl", job, control_no);
    while (there(path)) {
        control_no++;
        sprintf(path, "%s/control/%06d.ctl", job, control_no);
    }
    return 0;
}

/* Begun by an earlier start that was lost on the way: its end is written, or the guard would wait for it for ever. */
int close_orphan()
{
    char stem[300], path[320];
    int number, open;

    if (seq < 1) {
        return 0;
    }
    number = 1;
    open = 1;
    while (open > 0) {
        sprintf(stem, "%s/status/%06d.%04d", job, seq, number);
        open = 0;
        sprintf(path, "%s.begun", stem);
        if (there(path)) {
            open = 1;
        }
        sprintf(path, "%s.progress", stem);
        if (there(path)) {
            open = 1;
        }
        sprintf(path, "%s.done", stem);
        if (finished(path)) {
            open = -1;
        }
        sprintf(path, "%s.failed", stem);
        if (finished(path)) {
            open = -1;
        }
        number++;
    }
    if (open == 0) {
        step("lost", "none");
        record_no = number - 2;
        te_K = -1.0;
        fail("the program was started again during this step");
        report("failed", "orphaned", -1.0, "");
    }
    return 0;
}

int template_fits(int number, char *program, char *channel, int two_dimensional)
{
    char path[600], text[250];
    int parmode;

    sprintf(path, "%s/%s/%d/acqu", data_dir, template_dataset, number);
    if (!there(path)) {
        sprintf(path, "no template: EXPNO %d of %s in %s", number, template_dataset, data_dir);
        return fail(path);
    }
    DATASET(template_dataset, number, 1, data_dir, user)
    strcpy(text, "");
    FETCHPAR("PULPROG", text)
    if (AUERR < 0 || strcmp(text, program) != 0) {
        return fail("a template carries another pulse program than the lab file says");
    }
    strcpy(text, "");
    FETCHPAR("NUC1", text)
    if (AUERR < 0 || strcmp(text, channel) != 0) {
        return fail("a template is set up for another nucleus");
    }
    parmode = -1;
    FETCHPAR("PARMODE", &parmode)
    if (AUERR < 0 || parmode != two_dimensional) {
        return fail("a template has another number of dimensions");
    }
    return 0;
}

int constants(char *folder)
{
    strcpy(job, folder);
    strcpy(data_dir, DATA_DIR);
    if (strlen(data_dir) == 0) {
        GETCURDATA
        strcpy(data_dir, disk);
    }
    strcpy(scratch_dataset, SCRATCH_DATASET);
    strcpy(template_dataset, TEMPLATE_DATASET);
    strcpy(gas_readback, GAS_READBACK);
    strcpy(spinning_readback, SPINNING_READBACK);
    template_expno = FIRST_TEMPLATE;
    poll_s = POLL_S;
    ramp_poll_s = RAMP_POLL_S;
    sensor_min_K = SENSOR_MIN_K;
    sensor_max_K = SENSOR_MAX_K;
    gas_min_L_per_h = GAS_MIN_L_PER_H;
    spinning_min_Hz = SPINNING_MIN_HZ;
    ramp_max_K_per_min = RAMP_MAX_K_PER_MIN;
    config_no = 0;
    epoch = 1;
    control_no = 1;
    seq = 0;
    beat = 0;
    leave = 0;
    halt_seq = 0;
    safe_asked = 0;
    cleared_no = 0;
    heater_may_start = 1;    /* a person has just started this program */
    te_K = -1.0;
    gas_L_per_h = -1.0;
    spinning_Hz = -1.0;
    guard_instance = 0;
    guard_beat = 0;
    guard_trip = 0;
    guard_well = 0;
    guard_beat_s = 0.0;
    guard_asked_s = 0.0;
    lease_written_s = 0.0;
    held_within_K = 0.0;
    heated = 0;
    trouble = 0;
    nothing_runs = 0;
    may_run = 0;
    giving_up = 0;
    now_s = time(0);
    last_s = now_s;
    step("start", "none");
    return 0;
}

int claim_instance()
{
    FILE *f;
    char path[300];

    instance = 1;
    sprintf(path, "%s/executor/start.%04d", job, instance);
    while (there(path)) {
        instance++;
        sprintf(path, "%s/executor/start.%04d", job, instance);
    }
    f = fopen(path, "w");
    if (f == NULL) {
        return fail("the job folder cannot be written: give its path, with forward slashes");
    }
    fprintf(f, "program=%s\ntime=%.0f\nend\n", PROGRAM, now_s);
    fclose(f);
    return 0;
}

/* Everything that can be known to be wrong before any heat. */
int prepare_all()
{
    if (claim_instance() < 0) {
        return -1;
    }
    if (check_templates() < 0) {
        return -1;
    }
    DATASET(template_dataset, template_expno, 1, data_dir, user)
    DATASET(scratch_dataset, 1, 1, data_dir, user)
    if (AUERR < 0) {
        return fail("the scratch dataset cannot be made");
    }
    find_counters();
    find_step();
    close_orphan();
    if (write_control("run") < 0 || write_configuration(LEASE_S) < 0) {
        return fail("the job folder cannot be written");
    }
    renew_lease();
    if (await_guard() < 0) {
        return -1;
    }
    return await_running();
}

int alone_main(char *folder, int idle)
{
    char text[600];
    int outcome;

    constants(folder);
    nothing_runs = idle;

    /* No question and no message may ever wait for a click: these are reset at every start of TopSpin.
     * `can` answers "overwrite?" with no. */
    XCMD("setdef ackn no")
    XCMD("setdef quest can")

    if (anything_wanted() == 0) {
        tell("all is acquired; nothing was begun");
        return 0;
    }
    if (trouble || prepare_all() < 0) {
        sprintf(text, "nothing was begun: %s", error);
        tell(text);
        Proc_err(ERROPT_AK_NO, "%s", text);
        return -1;
    }
    outcome = campaign();
    if (outcome < 0) {
        sprintf(text, "stopped at %s: %s", step_id, error);
        tell(text);
        Proc_err(ERROPT_AK_NO, "%s", text);
        if (heated && !leave) {
            make_safe();
        }
        return -1;
    }
    write_control("quit");    /* the guard's watch ends too */
    tell("all is acquired, the heater is off");
    return 0;
}

/* `tuned`: a person says that the probe is tuned. */
int tuned_main(char *folder)
{
    FILE *f;
    char path[300];

    constants(folder);
    find_step();
    sprintf(path, "%s/operator/%06d.answer", job, seq);
    f = fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    fprintf(f, "answer=tuned\ntime=%.0f\nend\n", now_s);
    fclose(f);
    return 0;
}

/* `stop`: halt, and 25 C. The guard does it, even while this program is inside ZG. */
int stop_main(char *folder)
{
    constants(folder);
    return write_control("safe");
}
