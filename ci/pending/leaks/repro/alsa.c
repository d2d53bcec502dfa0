#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sound/asound.h>

int main(void)
{
	struct snd_timer_select sel = { .id = { .dev_class = SNDRV_TIMER_CLASS_GLOBAL } };
	struct snd_timer_info info;
	char line[128];
	int m, s;

	unshare(CLONE_NEWPID);
	if (fork())
		return wait(NULL) < 0;
	m = open("/dev/snd/timer", O_RDWR);
	s = open("/dev/snd/timer", O_RDWR);
	if (ioctl(m, SNDRV_TIMER_IOCTL_SELECT, &sel))
		perror("master");
	FILE *f = fopen("/proc/asound/timers", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "application"))
			printf("pid %d: %s", getpid(), line);
	sel.id.dev_class = SNDRV_TIMER_CLASS_SLAVE;
	sel.id.dev_sclass = SNDRV_TIMER_SCLASS_APPLICATION;
	sel.id.device = getpid();
	if (ioctl(s, SNDRV_TIMER_IOCTL_SELECT, &sel))
		perror("slave");
	printf("slave of %d: ", getpid());
	fflush(stdout);
	if (ioctl(s, SNDRV_TIMER_IOCTL_INFO, &info))
		perror("no master");
	else
		puts((char *)info.name);
}
